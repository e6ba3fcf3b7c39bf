import {
  defaultConflist,
  isConflistOf,
  pluginDefaults,
  renderConflists,
} from '../../../src/containers/conflist.ts';
import { config, dcos, dcos6, network, node2, snapshot } from '../../support/fixture.ts';

const parsed = (text: string) => JSON.parse(text) as object;
const names = (...args: Parameters<typeof snapshot>) =>
  renderConflists(snapshot(...args), pluginDefaults).map(({ network }) => network);

const chained = [
  { type: 'overlaynet-portmap', capabilities: { portMappings: true }, snat: true },
  { type: 'overlaynet-bandwidth', capabilities: { bandwidth: true } },
];

test('a network’s conflist names it; the plugin asks the agent for everything else', () => {
  const [first] = renderConflists(snapshot(), pluginDefaults);
  expect(parsed(first!.text)).toEqual({
    cniVersion: '1.0.0',
    cniVersions: ['1.0.0', '1.1.0'],
    name: 'dcos',
    plugins: [
      { type: 'overlaynet', capabilities: { 'io.kubernetes.cri.pod-annotations': true }, network: 'dcos' },
      ...chained,
    ],
  });
});

test('the cluster’s default conflist names no network: each pod chooses its own', () => {
  expect(parsed(defaultConflist(pluginDefaults))).toEqual({
    cniVersion: '1.0.0',
    cniVersions: ['1.0.0', '1.1.0'],
    name: 'overlaynet.dev',
    plugins: [
      { type: 'overlaynet', capabilities: { 'io.kubernetes.cri.pod-annotations': true } },
      ...chained,
    ],
  });
});

test('the conflist names directories that differ from the plugin’s defaults', () => {
  const paths = { ...pluginDefaults, socket: '/run/other/agent.sock', leaseDir: '/var/leases' };
  expect(parsed(defaultConflist(paths))).toMatchObject({
    plugins: [{ socket: '/run/other/agent.sock', leaseDir: '/var/leases' }, ...chained],
  });
  expect(defaultConflist(paths)).not.toContain('stateDir');
});

test('a network’s conflist does not depend on its subnets, so that a change of subnets writes no file', () => {
  const text = (...args: Parameters<typeof snapshot>) =>
    renderConflists(snapshot(...args), pluginDefaults)[0]?.text;
  const drained = network('dcos', { cidr: '9.0.0.0/8', prefix: 24, state: 'Draining' });
  expect(text({ networks: [drained] })).toBe(text());
  expect(text({ config: { ...config, mtu: 8950 } })).toBe(text());
});

test('a node without bridges, a Docker-only network, and a network that is not in force have no conflist', () => {
  expect(names()).toEqual(['dcos', 'dcos6']);
  expect(names({ node: 'node1' })).toEqual([]);
  const docker = [{ name: 'dcos', subnets: [{ cidr: '9.0.1.0/24', bridges: { docker: '9.0.1.0/24' } }] }];
  expect(
    names({ networks: [dcos], allocations: [{ node: 'node2', spec: { ...node2, networks: docker } }] }),
  ).toEqual([]);
  expect(names({ networks: [dcos6] })).toEqual(['dcos6']);
  expect(names({ allocations: [] })).toEqual([]);
});

test('ours is a conflist with the name and the plugin of its network', () => {
  const { text } = renderConflists(snapshot(), pluginDefaults)[0]!;
  expect(isConflistOf(text, 'dcos')).toBe(true);
  expect(isConflistOf(text, 'dcos6')).toBe(false);
  expect(isConflistOf(text.replace('"overlaynet"', '"bridge"'), 'dcos')).toBe(false);
  for (const foreign of ['', '{', 'null', '[]', '{"name":"dcos"}', '{"name":"dcos","plugins":[]}']) {
    expect(isConflistOf(foreign, 'dcos')).toBe(false);
  }
});

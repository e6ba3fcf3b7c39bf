import { defaultConflist, isConflistOf, nameIn, renderConflists } from '../../../src/agent/conflist.ts';
import { config, dcos, dcos6, network, node2, snapshot } from './fixture.ts';

interface List {
  cniVersion: string;
  name: string;
  plugins: { ipam: { ranges: unknown; routes: unknown }; mtu: number }[];
}
const lists = (...args: Parameters<typeof snapshot>) =>
  renderConflists(snapshot(...args)).map(({ text }) => JSON.parse(text) as List);

test('a network of one family gets the CNI half, the gateway on its bridge, and a default route', () => {
  expect(lists()[0]).toEqual({
    cniVersion: '1.0.0',
    name: 'dcos',
    plugins: [
      {
        type: 'bridge',
        bridge: 'm-dcos',
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        mtu: 1450,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: '9.0.1.0/25', gateway: '9.0.1.1' }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    ],
  });
  expect(lists()[1]?.plugins[0]?.ipam).toEqual({
    type: 'host-local',
    ranges: [[{ subnet: 'fd01:b:0:0:1::/81', gateway: 'fd01:b::1:0:0:1' }]],
    routes: [{ dst: '::/0' }],
  });
});

const both = {
  name: 'both',
  subnets: [
    { cidr: 'fd02::/80', bridges: { cni: 'fd02::/81' } },
    { cidr: '10.1.0.0/24', bridges: { cni: '10.1.0.0/25' } },
    { cidr: '10.2.0.0/24', bridges: { cni: '10.2.0.0/25' } },
  ],
};
const of = (states: ('Active' | 'Draining')[]) =>
  lists({
    networks: [
      network(
        'both',
        { cidr: 'fd02::/64', prefix: 80, state: states[0]! },
        { cidr: '10.1.0.0/16', prefix: 24, state: states[1]! },
        { cidr: '10.2.0.0/16', prefix: 24, state: states[2]! },
      ),
    ],
    allocations: [{ node: 'node2', spec: { ...node2, networks: [both] } }],
  })[0]?.plugins[0]?.ipam;

test('a container gets one address of each family, from any of its active subnets', () => {
  expect(of(['Active', 'Active', 'Active'])).toEqual({
    type: 'host-local',
    ranges: [
      [
        { subnet: '10.1.0.0/25', gateway: '10.1.0.1' },
        { subnet: '10.2.0.0/25', gateway: '10.2.0.1' },
      ],
      [{ subnet: 'fd02::/81', gateway: 'fd02::1' }],
    ],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
  });
});

test('a draining subnet gives no address', () => {
  expect(of(['Draining', 'Draining', 'Active'])).toEqual({
    type: 'host-local',
    ranges: [[{ subnet: '10.2.0.0/25', gateway: '10.2.0.1' }]],
    routes: [{ dst: '0.0.0.0/0' }],
  });
});

test('a network that drains wholly keeps a conflist, for DEL, whose only address is the gateway', () => {
  expect(of(['Draining', 'Draining', 'Draining'])?.ranges).toEqual([
    [
      { subnet: '10.1.0.0/25', gateway: '10.1.0.1', rangeStart: '10.1.0.1', rangeEnd: '10.1.0.1' },
      { subnet: '10.2.0.0/25', gateway: '10.2.0.1', rangeStart: '10.2.0.1', rangeEnd: '10.2.0.1' },
    ],
    [{ subnet: 'fd02::/81', gateway: 'fd02::1', rangeStart: 'fd02::1', rangeEnd: 'fd02::1' }],
  ]);
});

test('there is none for a node without bridges, a Docker-only network, or a network that is not in force', () => {
  expect(lists({ node: 'node1' })).toEqual([]);
  const docker = [{ name: 'dcos', subnets: [{ cidr: '9.0.1.0/24', bridges: { docker: '9.0.1.0/24' } }] }];
  expect(lists({ allocations: [{ node: 'node2', spec: { ...node2, networks: docker } }] })).toEqual([]);
  expect(lists({ networks: [dcos6] }).map(({ name }) => name)).toEqual(['dcos6']);
  expect(lists({ allocations: [] })).toEqual([]);
});

test('the MTU is the one in force', () => {
  expect(lists({ config: { ...config, mtu: 8950 } })[0]?.plugins[0]?.mtu).toBe(8950);
});

test('the default is the first of the list that the node has', () => {
  const conflists = renderConflists(snapshot({ networks: [dcos, dcos6] }));
  expect(defaultConflist(conflists, 'other, dcos6,dcos')?.network).toBe('dcos6');
  expect(defaultConflist(conflists, 'other')).toBeUndefined();
});

test('ours is a conflist with the name and bridge of its network', () => {
  const text = renderConflists(snapshot())[0]!.text;
  expect(isConflistOf(text, 'dcos')).toBe(true);
  expect(isConflistOf(text, 'dcos6')).toBe(false);
  expect(isConflistOf(text.replace('m-dcos', 'cni0'), 'dcos')).toBe(false);
  for (const foreign of ['', '{', 'null', '[]', '{"name":"dcos"}', '{"name":"dcos","plugins":[]}']) {
    expect(isConflistOf(foreign, 'dcos')).toBe(false);
  }
  expect(nameIn(text)).toBe('dcos');
  expect(nameIn('{')).toBeUndefined();
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { Metrics } from '../../../src/agent/metrics.ts';
import { followNode } from '../../../src/inspect/nodemetrics.ts';
import { selfSigned } from '../../../src/serve/x509.ts';

const lines = (text: string, name: string): string[] =>
  text.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line));
const agentLines = async (metrics: Metrics, name: string) =>
  lines((await metrics.render()).body, `overlaynet_agent_${name}`);

const pass = (repair: boolean, changed = {}) => ({
  seconds: 0.1,
  failures: [],
  peers: 2,
  repair,
  detail: { changed, entries: { route: 4 }, phases: { read: 40, write: 500 } },
});

test('a change counts as a repair only if the kernel was right before', async () => {
  const metrics = new Metrics('0');
  metrics.passed(pass(false, { route: 4, link: 1 }));
  expect(await agentLines(metrics, 'repairs_total')).toEqual([
    'overlaynet_agent_repairs_total{kind="route"} 0',
    'overlaynet_agent_repairs_total{kind="link"} 0',
  ]);
  metrics.passed(pass(true, { route: 1 }));
  expect(await agentLines(metrics, 'repairs_total')).toContain(
    'overlaynet_agent_repairs_total{kind="route"} 1',
  );
  expect(await agentLines(metrics, 'changes_total')).toContain(
    'overlaynet_agent_changes_total{kind="route"} 5',
  );
  expect(await agentLines(metrics, 'entries')).toEqual(['overlaynet_agent_entries{kind="route"} 4']);
  const phases = await agentLines(metrics, 'pass_phase_seconds_sum');
  expect(phases).toEqual([
    'overlaynet_agent_pass_phase_seconds_sum{phase="read"} 0.08',
    'overlaynet_agent_pass_phase_seconds_sum{phase="write"} 1',
  ]);
});

test('containers are counted by network, but not those of a deleted network', async () => {
  const metrics = new Metrics('0');
  metrics.contains(new Map([['dcos', { CNI: 3, Docker: 1 }]]));
  metrics.contains(new Map([['prod', { CNI: 2, Docker: 0 }]]));
  expect(await agentLines(metrics, 'containers')).toEqual([
    'overlaynet_agent_containers{network="prod",containerizer="CNI"} 2',
    'overlaynet_agent_containers{network="prod",containerizer="Docker"} 0',
  ]);
});

test('commands of the CNI plugin count by code, with their time', async () => {
  const metrics = new Metrics('0');
  metrics.done({ command: 'ADD', code: 0, seconds: 0.05 });
  metrics.done({ command: 'ADD', code: 105, seconds: 0.02 });
  expect(await agentLines(metrics, 'cni_operations_total')).toEqual([
    'overlaynet_agent_cni_operations_total{command="ADD",code="0"} 1',
    'overlaynet_agent_cni_operations_total{command="ADD",code="105"} 1',
  ]);
  expect(await agentLines(metrics, 'cni_operation_duration_seconds_count')).toEqual([
    'overlaynet_agent_cni_operation_duration_seconds_count{command="ADD"} 2',
  ]);
});

test('Docker operations count by result', async () => {
  const metrics = new Metrics('0');
  metrics.docker('create', true);
  metrics.docker('create', false);
  expect(await agentLines(metrics, 'docker_operations_total')).toEqual([
    'overlaynet_agent_docker_operations_total{operation="create",result="done"} 1',
    'overlaynet_agent_docker_operations_total{operation="create",result="error"} 1',
  ]);
});

test('requests count by verb and code; an unknown verb is bounded', async () => {
  const metrics = new Metrics('0');
  metrics.requested({ verb: 'update', code: 409, seconds: 0.01 });
  metrics.requested({ verb: '/version', code: 0, seconds: 3 });
  expect(await agentLines(metrics, 'api_requests_total')).toEqual([
    'overlaynet_agent_api_requests_total{verb="update",code="409"} 1',
    'overlaynet_agent_api_requests_total{verb="other",code="0"} 1',
  ]);
});

describe('metrics of the node', () => {
  const sysctl = mkdtempSync(join(tmpdir(), 'ovt-sysctl-'));
  afterAll(() => {
    rmSync(sysctl, { recursive: true });
  });
  const counters = { bytes: 10, packets: 1, errors: 0, drops: 2 };
  const from = async (over: Partial<Parameters<typeof followNode>[2]>): Promise<string> => {
    const registry = new Registry();
    const stop = followNode(registry, 'overlaynet_agent_', {
      tunnel: () => 'vtep1024',
      certificate: () => undefined,
      drops: () => Promise.resolve({ spoofing: 5, injection: 0, isolation: 7, scanning: 0, unpublished: 0 }),
      counters: (name) => (name === 'vtep1024' ? { receive: counters, transmit: counters } : undefined),
      sysctl,
      ...over,
    });
    await new Promise((resolve) => setImmediate(resolve));
    const text = await registry.metrics();
    stop();
    return text;
  };

  test('is the counters of the tunnel and of the rules', async () => {
    const text = await from({});
    expect(lines(text, 'overlaynet_agent_tunnel_drops_total')).toEqual([
      'overlaynet_agent_tunnel_drops_total{direction="receive"} 2',
      'overlaynet_agent_tunnel_drops_total{direction="transmit"} 2',
    ]);
    expect(text).toContain('overlaynet_agent_dropped_packets_total{guard="isolation"} 7');
  });

  test('is nothing where there is no tunnel, no table of connections and no certificate', async () => {
    const text = await from({ tunnel: () => undefined, drops: () => Promise.reject(new Error('no nft')) });
    expect(text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
  });

  test('is how full the table of connections is', async () => {
    mkdirSync(join(sysctl, 'net/netfilter'), { recursive: true });
    writeFileSync(join(sysctl, 'net/netfilter/nf_conntrack_count'), '12\n');
    writeFileSync(join(sysctl, 'net/netfilter/nf_conntrack_max'), '65536\n');
    const text = await from({});
    expect(text).toContain('overlaynet_agent_conntrack_entries 12');
    expect(text).toContain('overlaynet_agent_conntrack_limit 65536');
  });

  test('is when the certificate expires', async () => {
    const until = new Date('2031-01-01T00:00:00Z');
    const { cert } = selfSigned({ commonName: 'node1', names: ['node1'], from: new Date(), until });
    const text = await from({ certificate: () => cert });
    expect(lines(text, 'overlaynet_agent_certificate_expiry_timestamp_seconds')).toEqual([
      `overlaynet_agent_certificate_expiry_timestamp_seconds ${until.getTime() / 1_000}`,
    ]);
  });
});

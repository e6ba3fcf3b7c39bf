import { addressesOf, apiAddress, hub } from '../../hack/testbed/lab.ts';
import { nodesOf } from '../../hack/testbed/namespaces.ts';
import { end, marks, until } from '../../hack/testbed/processes.ts';
import { startOperator } from '../../hack/testbed/workloads.ts';
import { expressionsOf, readDashboard } from '../support/dashboards.ts';
import { hackLab, kubectl, lab, manifest, onNode, withdraw } from '../support/lab.ts';
import { Prometheus, type ScrapedPod } from '../support/prometheus.ts';
import { filesBelow, textOf } from '../support/source.ts';

const numbers = [1, 2];
const nodes = nodesOf(lab);
const rights = textOf('deploy/monitoring/metrics-rights.yaml');
let prometheus: Prometheus | undefined;

const pods: ScrapedPod[] = [
  ...numbers.map((number) => ({
    address: `${apiAddress}:${9180 + number}`,
    name: `overlaynet-operator-${number}`,
    node: 'hub',
    app: 'overlaynet-operator' as const,
  })),
  ...nodes.map((node) => ({
    address: `${addressesOf(node)[0]}:9181`,
    name: `overlaynet-agent-${node}`,
    node,
    app: 'overlaynet-agent' as const,
  })),
];

/** Restarts the operators: at an address where Prometheus reaches them over HTTPS, or on loopback (default). */
async function restart(listen?: 'outside'): Promise<void> {
  for (const number of numbers) {
    await end(lab, { role: `operator-${number}` }, 'SIGTERM');
    startOperator(lab, number, listen && apiAddress);
  }
}

const asked = (expression: string) => prometheus!.query(expression).catch(() => []);
/** Waits until the query returns a sample that `accept` accepts. */
const shows = (expression: string, accept: (value: number) => boolean = () => true) =>
  until(
    expression,
    async () =>
      (await asked(expression)).some(({ value: [, value] }) => accept(Number(value))) ? true : undefined,
    { lab, roles: ['operator-1', 'operator-2'], seconds: 60 },
  );

beforeAll(async () => {
  await kubectl(['apply', '-f', '-'], rights);
  await restart('outside');
  const token = await kubectl(['create', 'token', '-n', 'overlaynet-system', 'overlaynet-metrics']);
  prometheus = new Prometheus(
    ['nsenter', `--net=/run/netns/${hub(lab)}`],
    pods,
    token.trim(),
    marks(lab, 'prometheus'),
  );
});

afterAll(async () => {
  await prometheus?.stop();
  await hackLab('node', 'remove', 'node4').catch(() => undefined);
  await withdraw('monitored');
  await kubectl(['delete', '-f', '-', '--ignore-not-found'], rights);
  await restart();
});

test('Prometheus scrapes operators and agents with the shipped configuration and its own token', async () => {
  let last: unknown;
  const all = () => prometheus!.targets().catch(() => new Map<string, string>());
  await until(
    `all targets are up`,
    async () => {
      const targets = await all();
      last = [...targets];
      return targets.size === pods.length && [...targets.values()].every((said) => said.endsWith(' up'))
        ? true
        : undefined;
    },
    { lab, roles: ['operator-1'], seconds: 60 },
  ).catch((error: unknown) => {
    throw new Error(JSON.stringify(last), { cause: error });
  });
  expect(Object.fromEntries(await all())).toEqual(
    Object.fromEntries(pods.map(({ name, app }) => [name, `${app} up`])),
  );
});

test('metrics show that a node joins, a route is repaired, and packets cross the tunnel', async () => {
  await shows('max(overlaynet_operator_leader)', (value) => value === 1);
  await kubectl(['apply', '-f', '-'], manifest('monitored', '9.66.0.0/16', 'fd66::/48'));
  await hackLab('node', 'add', 'node4');
  await shows('sum(overlaynet_operator_registration_to_allocation_seconds_count)', (value) => value >= 1);
  await shows('overlaynet_agent_entries{kind="fdb",node="node2"}', (value) => value === 3);
  // the pass after the change must find nothing to do; otherwise the next removal would not count as drift
  await shows(
    'time() - max(overlaynet_agent_last_success_timestamp_seconds{node="node2"})',
    (value) => value >= 3,
  );
  const [route = ''] =
    (await onNode('node2', 'ip', 'route', 'show', 'table', 'all')).match(/^9\.0\.\d+\.0\/24 .*$/m) ?? [];
  const [to = '', table = 'main'] = [/^\S+/.exec(route)?.[0], /table (\S+)/.exec(route)?.[1]];
  await onNode('node2', 'ip', 'route', 'del', to, 'table', table);
  await shows('overlaynet_agent_repairs_total{kind="route",node="node2"}', (value) => value >= 1);
  await hackLab(
    'run',
    'node2',
    'dcos',
    '--name',
    'probe',
    '--',
    'ping',
    '-n',
    '-c',
    '2',
    '-W',
    '1',
    '9.0.2.130',
  ).catch(() => undefined);
  await shows('overlaynet_agent_tunnel_bytes_total{direction="transmit",node="node2"}', (value) => value > 0);
  await shows('overlaynet_agent_container_questions_total{code="0",node="node2"}', (value) => value >= 1);
});

test.each(filesBelow('deploy/monitoring/dashboards', '.json'))('every panel of %s has data', async (file) => {
  await shows('overlaynet_agent_dropped_packets_total{node="node2"}');
  const empty: string[] = [];
  for (const { panel, expr } of expressionsOf(readDashboard(file), 'node2')) {
    const samples = await prometheus!.query(expr);
    if (samples.length === 0) empty.push(`${panel}: ${expr}`);
  }
  expect(empty).toEqual([]);
});

test('no alert fires in a healthy lab', async () => {
  const firing = await prometheus!.query('ALERTS{alertstate="firing"}');
  expect(firing.map(({ metric }) => metric)).toEqual([]);
});

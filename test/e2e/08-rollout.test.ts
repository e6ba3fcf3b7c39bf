import { jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { apply, get, kubectl, tool, workers } from '../support/e2e.ts';
import { addressOf, host, makeNamespace, pod, ready, service } from '../support/e2e-objects.ts';
import { eventually, found } from '../support/eventually.ts';

jest.setTimeout(180_000);
const namespace = 'ovt-rollout';
const [here, there] = workers;

interface Flow {
  sent: number;
  answered: number;
  lost: number;
  slowest: number;
}
const flows = ['four', 'six', 'by-service'];
const flowOf = async (name: string): Promise<Flow> =>
  JSON.parse(await tool(name, 'get http://localhost:8081/', namespace)) as Flow;

beforeAll(async () => {
  await makeNamespace(namespace);
  await apply(
    pod('echo', { namespace, node: there, labels: { app: 'echo' } }),
    pod('echo6', { namespace, node: there, network: 'dcos6' }),
    service('echo', namespace),
  );
  await ready(namespace, 'echo', 'echo6');
  expect(await addressOf(namespace, 'echo6')).toContain(':');
  const { spec } = await get<{ spec: { clusterIP: string } }>(`-n ${namespace} service echo`);
  const stream = (name: string, to: string, network?: string) =>
    pod(name, { namespace, node: here, args: ['stream', to], ...(network && { network }) });
  await apply(
    stream('four', `${await addressOf(namespace, 'echo')}:8080`),
    stream('six', `${host(await addressOf(namespace, 'echo6'))}:8080`, 'dcos6'),
    stream('by-service', `${spec.clusterIP}:80`),
  );
  await ready(namespace, ...flows);
  for (const name of flows)
    await eventually(async () => (await flowOf(name)).answered > 100, found, {
      what: `flow ${name}`,
      seconds: 30,
    });
});
afterAll(() => kubectl(`delete namespace ${namespace}`));

test.each([
  ['agents', 'daemonset/overlaynet-agent'],
  ['operators', 'deployment/overlaynet-operator'],
])(
  'the %s are rolled with 100 packets a second flowing between two nodes, and none is lost',
  async (_, what) => {
    const before = await Promise.all(flows.map(flowOf));
    await kubectl(`rollout restart -n overlaynet-system ${what}`);
    await kubectl(`rollout status -n overlaynet-system ${what} --timeout=120s`);
    await sleep(2_000); // a packet counts as lost after a second
    const after = await Promise.all(flows.map(flowOf));
    for (const [index, name] of flows.entries()) {
      const { sent, lost, slowest } = after[index]!;
      const first = before[index]!;
      console.log(
        `${what}, ${name}: ${sent - first.sent} sent, ${lost - first.lost} lost, slowest ${slowest} ms`,
      );
      expect(sent - first.sent).toBeGreaterThan(300);
      expect(lost).toBe(first.lost);
    }
  },
);

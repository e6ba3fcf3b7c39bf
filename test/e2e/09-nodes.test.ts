import { jest } from '@jest/globals';
import { apply, get, kubectl, onNode, restart, tool, workers } from '../support/e2e.ts';
import { addressOf, makeNamespace, nodeAddresses, pod, ready, workload } from '../support/e2e-objects.ts';
import { eventually, found } from '../support/eventually.ts';

jest.setTimeout(240_000);
const namespace = 'ovt-nodes';
const [here, there] = workers;

interface Allocation {
  spec: { networks: { name: string; subnets: { cidr: string }[] }[] };
}
interface Condition {
  type: string;
  status: string;
  lastHeartbeatTime: string;
}
const blocks = async (node: string) =>
  (await get<Allocation>(`agentallocation ${node}`)).spec.networks.flatMap(({ name, subnets }) =>
    subnets.map(({ cidr }) => `${name} ${cidr}`),
  );

let blocksBefore: string[];
beforeAll(async () => {
  await makeNamespace(namespace);
  blocksBefore = await blocks(there);
  await apply(
    pod('client', { namespace, node: here }),
    workload('Deployment', 'web', 4, { namespace, spec: { tolerations: [] } }),
  );
  await ready(namespace, 'client');
  await kubectl(`rollout status -n ${namespace} deployment/web --timeout=60s`);
});
afterAll(() => kubectl(`delete namespace ${namespace}`));

test('a drained node’s pods start on other nodes and are reachable there', async () => {
  await kubectl(`drain ${there} --ignore-daemonsets --delete-emptydir-data --force --timeout=60s`);
  interface Pods {
    items: {
      metadata: { deletionTimestamp?: string };
      spec: { nodeName?: string };
      status: { podIP?: string };
    }[];
  }
  const addresses = await eventually(
    async () => {
      const { items } = await get<Pods>(`-n ${namespace} pods -l app=web`);
      const staying = items.filter(
        ({ metadata, spec }) => !metadata.deletionTimestamp && spec.nodeName !== there,
      );
      const known = staying.flatMap(({ status }) => status.podIP ?? []);
      return known.length === 4 && known;
    },
    found,
    { what: 'four pods on other nodes', seconds: 60 },
  );
  for (const address of addresses)
    await eventually(
      async () => (await tool('client', `get http://${address}:8080/`, namespace)).startsWith('web-'),
      found,
      { what: 'an answer', seconds: 30 },
    );
});

test('operator and peers forget a deleted node', async () => {
  const [ip] = await nodeAddresses(there);
  const fdb = () => onNode(here, 'bridge fdb show dev vtep1024');
  expect(await fdb()).toContain(ip);
  await onNode(there, 'systemctl stop kubelet');
  await kubectl(`delete node ${there}`);
  await eventually(async () => !(await kubectl('get agentallocations')).includes(`${there} `), found, {
    what: 'its allocation to go',
    seconds: 60,
  });
  await eventually(async () => !(await fdb()).includes(`dst ${ip!} `), found, {
    what: 'its entry to leave the peer’s kernel',
    seconds: 30,
  });
});

test('the node joins again, gets its blocks back, and its pods are reachable', async () => {
  await onNode(there, 'systemctl start kubelet');
  await kubectl(`wait --for=create node/${there} --timeout=60s`);
  await kubectl(`wait --for=condition=Ready node/${there} --timeout=120s`);
  await kubectl('-n overlaynet-system rollout status --timeout=60s daemonset/overlaynet-agent');
  await eventually(
    async () => {
      expect(await blocks(there)).toEqual(blocksBefore);
      return true;
    },
    found,
    { what: 'its blocks', seconds: 30 },
  );
  await apply(pod('back', { namespace, node: there }));
  await ready(namespace, 'back');
  expect(await tool('client', `get http://${await addressOf(namespace, 'back')}:8080/`, namespace)).toMatch(
    /^back /,
  );
  expect(await tool('back', 'lookup kubernetes.default.svc.cluster.local', namespace)).toMatch(/^10\.96\./);
});

test('a rebooted node has its data path before it is Ready, and no leases of its former pods', async () => {
  const leases = async () =>
    (await onNode(there, 'ls /var/lib/cni/networks/dcos'))
      .split('\n')
      .filter((name) => name.startsWith('9.'));
  const before = await addressOf(namespace, 'back');
  expect(await leases()).toContain(before);
  const since = Date.now();
  await restart(there);
  // /run is gone, and with it the mark that the CNI plugin's STATUS checks; the conflist still exists
  const routes = await eventually(
    async () => {
      const { status } = await get<{ status: { conditions: Condition[] } }>(`node ${there}`);
      const ready = status.conditions.find(({ type }) => type === 'Ready')!;
      // the old condition stays until the kubelet reports again
      const spoken = Date.parse(ready.lastHeartbeatTime) > since;
      return spoken && ready.status === 'True' && (await onNode(there, 'ip route show proto 142'));
    },
    found,
    { what: 'the node to be Ready', seconds: 120 },
  );
  expect(routes.split('via 44.128.0.')).toHaveLength(3);
  await eventually(
    async () => {
      const address = await addressOf(namespace, 'back');
      expect(await tool('client', `get http://${address}:8080/`, namespace)).toMatch(/^back /);
      return true;
    },
    found,
    { what: 'its pod to run again', seconds: 120 },
  );
  const addresses = (
    await get<{ items: { spec: { hostNetwork?: boolean }; status: { podIP?: string } }[] }>(
      `pods -A --field-selector spec.nodeName=${there}`,
    )
  ).items.flatMap(({ spec, status }) => (spec.hostNetwork === true || !status.podIP ? [] : [status.podIP]));
  await eventually(
    async () => {
      expect((await leases()).sort()).toEqual(addresses.filter((one) => one.startsWith('9.')).sort());
      return true;
    },
    found,
    { what: 'the leases to be those of its pods', seconds: 60 },
  );
});

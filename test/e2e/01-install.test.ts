import { jest } from '@jest/globals';
import { join } from 'node:path';
import { controlPlane, get, kubectl, nodes, onNode, overlay } from '../support/e2e.ts';
import { rememberNodes } from '../support/e2e-traces.ts';
import { eventually, found } from '../support/eventually.ts';

const root = join(import.meta.dirname, '..', '..');
jest.setTimeout(180_000);

interface Nodes {
  items: {
    metadata: { name: string };
    status: { conditions: { type: string; status: string; message: string }[] };
  }[];
}
interface Pods {
  items: { metadata: { name: string }; status: { podIP?: string } }[];
}
const ready = async (): Promise<string[]> =>
  (await get<Nodes>('nodes')).items
    .filter(({ status }) => status.conditions.some((one) => one.type === 'Ready' && one.status === 'True'))
    .map(({ metadata }) => metadata.name)
    .sort();

beforeAll(async () => {
  // 10-uninstall compares the nodes with this state
  await rememberNodes();
});

test('no node is Ready without a CNI', async () => {
  expect((await get<Nodes>('nodes')).items).toHaveLength(nodes.length);
  expect(await ready()).toEqual([]);
});

test('kubectl applies deploy/ and deploy/samples/overlay.yaml', async () => {
  await kubectl('apply -k', join(root, 'deploy'));
  await kubectl('apply -f', join(root, 'deploy/samples/overlay.yaml'));
});

/** Returns what a Ready node lacks. */
async function lacking(node: string): Promise<string[]> {
  const parts = {
    'the tunnel': ['ip link show', 'vtep1024'],
    'the chains that guard it': ['iptables-save -t mangle', 'OVERLAYNET-INPUT'],
    'the guard of ports': ['nft list table bridge overlaynet', 'ports4'],
    'the mark': ['ls /run/overlaynet', 'complete'],
  };
  const missing = [];
  for (const [what, [command = '', word = '']] of Object.entries(parts)) {
    if (!(await onNode(node, command).catch(String)).includes(word)) missing.push(`${node}: ${what}`);
  }
  return missing;
}

test('every node becomes Ready, but not before its data path is complete', async () => {
  const early: string[] = [];
  const seen = new Set<string>();
  await eventually(
    async () => {
      for (const name of await ready()) {
        if (!seen.has(name)) early.push(...(await lacking(name)));
        seen.add(name);
      }
      return seen.size === nodes.length;
    },
    found,
    { what: 'three nodes Ready', seconds: 120 },
  );
  expect(early).toEqual([]);
  await eventually(
    async () => {
      for (const name of nodes) {
        const routes = await onNode(name, 'ip route show proto 142');
        expect(routes.split('via 44.128.0.')).toHaveLength(nodes.length);
      }
      return true;
    },
    found,
    { what: 'a route to each peer', seconds: 30 },
  );
});

test('operator, agents and CoreDNS run', async () => {
  await kubectl('-n overlaynet-system rollout status --timeout=60s deployment/overlaynet-operator');
  await kubectl('-n overlaynet-system rollout status --timeout=60s daemonset/overlaynet-agent');
  await kubectl('-n kube-system rollout status --timeout=120s deployment/coredns');
});

test('kubectl overlay waits until all is well, and names the owner of an address', async () => {
  const said = await overlay('status --wait 2m');
  expect(said).toMatch(/^healthy\n/);
  expect(said).toMatch(/Operators +2 of 2 ready/);
  expect(said).toMatch(/Agents +3 of 3 ready/);
  expect(await overlay('check')).toMatch(/^all agree/);
  const [dns] = (await get<Pods>('-n kube-system pods -l k8s-app=kube-dns')).items;
  const { podIP = '' } = dns?.status ?? {};
  const name = dns?.metadata.name ?? '';
  expect(await overlay(`ip ${podIP}`)).toContain(`kube-system/${name}`);
  expect(await overlay('containers --namespace kube-system --no-headers')).toContain(`kube-system/${name}`);
});

test('kube-proxy recognises pods by the bridges', async () => {
  expect(await onNode(controlPlane, 'iptables-save -t nat')).toMatch(/KUBE-SVC.* ! -i m-\+/);
});

test.each([
  ['view', ['get overlaynetworks', 'get allocationledgers'], ['create overlaynetworks']],
  ['edit', ['get overlayagents', 'delete overlaynetworks'], ['patch overlayconfigs', 'delete overlayagents']],
  ['admin', ['patch overlayconfigs', 'delete overlayagents'], ['create agentallocations']],
])('a user who is bound to %s has exactly its rights on our kinds', async (role, may, mayNot) => {
  const binding = `ovt-${role}`;
  await kubectl(`create clusterrolebinding ${binding} --clusterrole=${role} --user=${binding}`);
  try {
    const can = (what: string) =>
      kubectl(`auth can-i ${what}.overlaynet.dev --as=${binding}`).then(
        (said) => said.includes('yes'),
        () => false,
      );
    for (const what of may)
      await eventually(() => can(what), found, { what: `${role} may ${what}`, seconds: 30 });
    for (const what of mayNot) expect([what, await can(what)]).toEqual([what, false]);
  } finally {
    await kubectl(`delete clusterrolebinding ${binding}`);
  }
});

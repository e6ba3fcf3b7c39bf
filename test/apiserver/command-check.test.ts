import { expect, jest } from '@jest/globals';
import { rmSync } from 'node:fs';
import path from 'node:path';
import type { Client } from '../../src/kube/client.ts';
import { nodes, pods } from '../../src/kube/resources.ts';
import { CommandBed, namespace, quick } from '../support/commandbed.ts';
import { eventually } from '../support/eventually.ts';

// `check` as users type it: each inconsistency is made for real, and must be named.

jest.setTimeout(300_000);

let bed: CommandBed;
let client: Client;
const port = 'c-0123456789ab';

interface Checked {
  found: { is: string; between: string; object: string; node: string; message: string }[];
  unknown: string[];
  fixed: string[];
}
async function check(flags = ''): Promise<Checked & { code: number }> {
  const { code, stdout } = await bed.run(`check -o json${flags}`);
  const { found, unknown, fixed } = JSON.parse(stdout) as Checked;
  return { code, found, unknown, fixed };
}
const names = ({ found }: Checked) => found.map(({ is, between, object }) => `${is} ${between} ${object}`);

/** Waits until node1's result is the wanted one, because answers may be late. */
const told = async (wanted: string): Promise<Checked> =>
  eventually(
    () => check(),
    (checked) => names(checked).includes(wanted),
    { seconds: 120 },
  );
const clean = () =>
  eventually(
    () => check(),
    ({ code }) => code === 0,
    { seconds: 120 },
  );

const pod = async (name: string, ip: string) => {
  const spec = { nodeName: 'node1', containers: [{ name: 'web', image: 'x' }] };
  const made = await client.create(pods('default'), { metadata: { name }, spec });
  await client.updateStatus(pods('default'), { ...made, status: { phase: 'Running', podIPs: [{ ip }] } });
};
const gone = (name: string) =>
  bed.plane.kubectl('delete', 'pod', '-n', 'default', name, '--grace-period=0', '--force');

beforeAll(async () => {
  bed = await CommandBed.start(quick);
  ({ client } = bed.plane);
  await bed.pass();
  await bed.report();
  await bed.link(port);
  await pod('web-0', '9.0.0.2');
  bed.record('cafe', 'web-0', port, '9.0.0.2');
  await bed.pass();
});
afterAll(() => bed.stop());

test('a consistent cluster, except for a Node without an agent', async () => {
  const { code, found } = await eventually(
    () => check(),
    ({ unknown }) => unknown.length === 0,
    { seconds: 120 },
  );
  expect({ code, found: found.map(({ message }) => message) }).toEqual({
    code: 1,
    found: ['control: no agent has registered on this Node: does its pod run?'],
  });
  const { stdout } = await bed.run('check');
  expect(stdout).toContain('1 thing does not agree');
});

test('a Node that needs no agent is not reported', async () => {
  await client.patch(
    nodes,
    'control',
    { metadata: { labels: { type: 'virtual-kubelet' } } },
    { type: 'merge' },
  );
  await clean();
  expect(await bed.run('check')).toMatchObject({ code: 0, stdout: expect.stringContaining('all agree') });
});

const attachments = () => path.join(bed.stateDir, 'attachments');
const leases = () => path.join(bed.leaseDir, 'dcos');

test.each<[what: string, seed: () => unknown, wanted: string, mend: () => unknown]>([
  [
    'a lease of nobody',
    () => {
      bed.lease('9.0.0.77', 'f00d');
    },
    'Leak leases and records Lease 9.0.0.77',
    () => {
      rmSync(path.join(leases(), '9.0.0.77'));
    },
  ],
  [
    'a record without a lease',
    () => {
      rmSync(path.join(leases(), '9.0.0.2'));
    },
    'Mismatch leases and records Lease 9.0.0.2',
    () => {
      bed.lease('9.0.0.2', 'cafe');
    },
  ],
  [
    'a record of a pod that is gone, and of a link that is not there',
    () => {
      bed.record('f00d', 'web-9', 'c-0123456789ff', '9.0.0.3');
    },
    'Leak records and pods 9.0.0.3',
    () => {
      rmSync(path.join(attachments(), 'f00d:eth0.json'));
      rmSync(path.join(leases(), '9.0.0.3'));
    },
  ],
  [
    'two records of one address',
    () => {
      bed.record('f00d', 'web-9', port, '9.0.0.2');
    },
    'Duplicate records and allocations Record 9.0.0.2',
    () => {
      rmSync(path.join(attachments(), 'f00d:eth0.json'));
    },
  ],
  [
    'an address in no block of the node',
    () => {
      bed.record('f00d', 'web-0', port, '9.0.7.7');
    },
    'Stranger records and allocations 9.0.7.7',
    () => {
      rmSync(path.join(attachments(), 'f00d:eth0.json'));
      rmSync(path.join(leases(), '9.0.7.7'));
    },
  ],
  [
    'a link without a record',
    () => bed.link('c-0123456789cc'),
    'Stranger records and kernel Port c-0123456789cc',
    () => bed.netns.sh('ip link del c-0123456789cc'),
  ],
  [
    'a pod without a record',
    () => pod('web-5', '9.0.0.55'),
    'Stranger records and pods 9.0.0.55',
    () => gone('web-5'),
  ],
  [
    'a route that is gone',
    () => bed.netns.sh('ip route del unreachable 9.0.0.0/16 metric 4294967295'),
    'Mismatch allocations and kernel Route 9.0.0.0/16 table 254 metric 4294967295',
    () => bed.pass(),
  ],
  [
    'a set of ours that nothing wants',
    () => bed.netns.sh('ipset create overlaynet-odd hash:net'),
    'Stranger allocations and kernel Set overlaynet-odd',
    () => bed.pass(),
  ],
])('%s', async (_, seed, wanted, mend) => {
  await seed();
  try {
    expect(names(await told(wanted))).toContain(wanted);
  } finally {
    await mend();
    await bed.pass();
  }
  await clean();
});

test('--fix restarts the agent of the node that has leftovers, and says so', async () => {
  const labels = { 'app.kubernetes.io/name': 'overlaynet-agent' };
  const agent = async (name: string) => {
    const spec = { nodeName: 'node1', containers: [{ name: 'agent', image: 'x' }] };
    const made = await client.create(pods(namespace), { metadata: { name, labels }, spec });
    await client.updateStatus(pods(namespace), {
      ...made,
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    });
  };
  await agent('agent-1');
  await bed.netns.sh('ip route del unreachable 9.0.0.0/16 metric 4294967295');
  await told('Mismatch allocations and kernel Route 9.0.0.0/16 table 254 metric 4294967295');
  // the kubelet and the DaemonSet do this
  const restarted = eventually(
    () => client.get(pods(namespace), 'agent-1'),
    (one) => one?.metadata.deletionTimestamp !== undefined,
    { seconds: 90 },
  ).then(async () => {
    await bed.pass();
    await bed.plane.kubectl('delete', 'pod', '-n', namespace, 'agent-1', '--grace-period=0', '--force');
    await agent('agent-2');
  });
  const { fixed, found } = await check(' --fix');
  await restarted;
  expect(fixed).toEqual(['restarted the agent of node1 (pod agent-1)']);
  expect(found.filter(({ node }) => node === 'node1')).toEqual([]);
});

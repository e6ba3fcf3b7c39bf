import { expect, jest } from '@jest/globals';
import type { Client } from '../../src/kube/client.ts';
import { pods } from '../../src/kube/resources.ts';
import { CommandBed, quick } from '../support/commandbed.ts';
import { eventually } from '../support/eventually.ts';

// `why` as users type it: a real API server and operator, and an agent's answers about a real kernel.

jest.setTimeout(300_000);

let bed: CommandBed;
let client: Client;
const run = (args: string, kubeconfig?: string) => bed.run(args, kubeconfig);
const port = 'c-0123456789ab';

const pod = (name: string, changes: object = {}) => ({
  metadata: { name, annotations: { 'overlaynet.dev/network': 'dcos' } },
  spec: { nodeName: 'node1', containers: [{ name: 'web', image: 'x' }], ...changes },
});

beforeAll(async () => {
  bed = await CommandBed.start(quick);
  ({ client } = bed.plane);
  await bed.pass();
  await bed.report();
  await bed.link(port);
  const made = await client.create(pods('default'), pod('web-0'));
  await client.updateStatus(pods('default'), {
    ...made,
    status: { phase: 'Running', podIPs: [{ ip: '9.0.0.2' }] },
  });
  bed.record('cafe', 'web-0', port, '9.0.0.2');
  await bed.pass();
  await eventually(
    () => run('why node node1'),
    ({ code }) => code === 0,
    { seconds: 120 },
  );
});
afterAll(() => bed.stop());

test('a pod without a fault', async () => {
  const { code, stdout, stderr } = await run('why pod default/web-0');
  expect({ code, stderr, stdout }).toEqual({
    code: 0,
    stderr: '',
    stdout: expect.stringContaining('ok    NAT'),
  });
  expect(stdout).toContain('pod default/web-0 on network dcos');
});

test.each([
  ['pod default/none', 'WRONG pod  there is no pod default/none'],
  ['node none', 'WRONG node  there is no Node none'],
  ['network none', 'WRONG network  there is no network none'],
])('why %s', async (what, words) => {
  const { code, stdout } = await run(`why ${what}`);
  expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining(words) });
});

test('a pod that asks for a missing network, and one without a record', async () => {
  const other = pod('web-1');
  other.metadata.annotations['overlaynet.dev/network'] = 'nope';
  await client.create(pods('default'), other);
  await client.create(pods('default'), pod('web-2'));
  expect((await run('why pod default/web-1')).stdout).toMatch(/WRONG network +there is no network nope/);
  expect((await run('why pod default/web-2')).stdout).toMatch(/WRONG lease +node node1 has no record of it/);
});

test.each([
  ['link', `ip link set ${port} down`, `ip link set ${port} up`, `Wrong Port ${port}: it is down`],
  ['bridge', 'ip link set m-dcos mtu 1300', '', 'Wrong Link m-dcos: its MTU is 1300'],
  ['peers', 'ipset del overlaynet-members-4', '', 'Missing Set overlaynet-members-4'],
  ['isolation', 'iptables-nft -t mangle -F OVERLAYNET-FORWARD', '', 'mangle OVERLAYNET-FORWARD'],
  ['NAT', 'iptables-nft -t nat -F OVERLAYNET-POSTROUTING', '', 'nat OVERLAYNET-POSTROUTING'],
])('a pod whose %s is broken in the kernel', async (what, damage, mend, words) => {
  const address = what === 'peers' ? ` ${bed.address}` : '';
  await bed.netns.sh(damage + address);
  const { code, stdout } = await eventually(
    () => run('why pod default/web-0'),
    (ran) => ran.code === 1,
    { seconds: 120 },
  );
  if (mend !== '') await bed.netns.sh(mend);
  await bed.pass();
  expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining(words) });
  expect(stdout.trimEnd().split('\n').at(-2)).toContain(`WRONG ${what}`);
  await eventually(
    () => run('why pod default/web-0'),
    (ran) => ran.code === 0,
    { seconds: 120 },
  );
});

test('wrong arguments are refused before any request', async () => {
  expect((await run('why pod web-0')).stderr).toContain('is not a pod’s NAMESPACE/NAME');
  expect((await run('why cake x')).code).toBe(2);
});

test('what a viewer’s token may not see is reported as unknown', async () => {
  const { code, stdout } = await run('why network dcos --service-account overlaynet-viewer');
  expect(code).toBe(2);
  expect(stdout).toMatch(/\? +bridge +you lack a right/);
});

import { expect } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ownAddress } from '../support/commandbed.ts';
import { eventually } from '../support/eventually.ts';
import { usesCommandBed } from '../support/usescommandbed.ts';
import { attachment } from '../support/fixture.ts';
import { applyNetwork } from '../support/leader.ts';

const { bed, run, client } = usesCommandBed();

beforeAll(async () => {
  await bed().pass();
  await bed().link('c-0123456789ab');
});

const lines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/));

test('networks come through the API server, with a token and a certificate that the command finds', async () => {
  const { code, stdout, stderr } = await run('networks');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [head, row] = lines(stdout);
  expect(head).toEqual(['NAME', 'STATE', 'SUBNETS', 'READY', 'FILL', 'ISOLATION', 'AGE']);
  expect(row?.slice(0, 4)).toEqual(['dcos', 'Waiting', '9.0.0.0/16 /24', '0/1']);
  expect(bed().kubelet.asked.at(-1)).toContain('port=9180');
});

test('every form of output', async () => {
  expect((await run('agents -o name')).stdout.trim().split('\n').sort()).toEqual([
    'agent/control',
    'agent/node1',
  ]);
  expect(JSON.parse((await run('blocks dcos -o json')).stdout)).toMatchObject({
    items: [{ network: 'dcos', cidr: '9.0.0.0/24', node: 'node1', state: 'Held' }],
  });
  expect((await run('networks -o yaml')).stdout).toContain('items:\n  - name: dcos');
  expect(lines((await run('blocks --no-headers -o wide')).stdout)[0]?.slice(0, 4)).toEqual([
    'vtep',
    '44.128.0.1/20',
    'node1',
    'Held',
  ]);
  expect(lines((await run('agents --sort-by state --no-headers')).stdout).map(([name]) => name)).toEqual([
    'node1',
    'control',
  ]);
});

test.each([
  ['blocks nope', 'there is no network nope', 'networks'],
  ['blocks nope -o json', 'there is no network nope', 'networks'],
  ['containers --node nope', 'there is no node nope', 'agents'],
])('%s is told from a network or node without rows', async (args, words, lists) => {
  const { code, stderr } = await run(args);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: `error: ${words}\n  kubectl overlay ${lists} lists all\n`,
  });
});

test('a network and a node that have no rows are no mistake', async () => {
  expect(await run('blocks dcos --search nothing')).toMatchObject({ code: 0, stderr: 'No blocks found.\n' });
  expect(await run('containers --node control')).toMatchObject({ code: 0 });
});

test('containers come from the agents, each compared with the kernel', async () => {
  const file = path.join(bed().stateDir, 'attachments', 'cafe:eth0.json');
  const [first] = attachment().interfaces;
  const record = attachment({
    pod: 'web\u001b[31m',
    interfaces: [{ ...first!, addresses: ['9.0.0.2', 'fe80::1'] }],
  });
  writeFileSync(file, JSON.stringify(record));
  const { code, stdout, stderr } = await run('containers --network dcos');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(lines(stdout)[1]?.slice(0, 5)).toEqual([
    'dcos',
    'default/web\\u001b[31m',
    '9.0.0.2',
    'node1',
    'Present',
  ]);
  expect((await run('ip 9.0.0.2')).stdout).toContain(
    'pod default/web\\u001b[31m (CNI) on network dcos, node node1',
  );
});

test.each([
  ['9.0.0.1', 0, 'the gateway: bridge m-dcos of node node1'],
  ['9.0.0.9', 0, 'free: in block 9.0.0.0/24 of network dcos, which node node1 holds'],
  ['44.128.0.1', 0, 'the tunnel’s end (VTEP) of node node1'],
  [ownAddress, 0, 'node node1’s own address'],
  ['9.0.7.7', 0, 'unused: in network dcos (9.0.0.0/16)'],
  ['8.8.8.8', 1, 'outside: no network has it'],
])('ip %s', async (address, status, words) => {
  const { code, stdout } = await run(`ip ${address}`);
  expect({ code, stdout }).toEqual({ code: status, stdout: expect.stringContaining(words) });
});

test('status reports findings, waits as long as --wait says, and exits with 1', async () => {
  const { code, stdout, stderr } = await run('status --wait 10s');
  expect(code).toBe(1);
  expect(stdout).toContain('NOT HEALTHY: 2 of 2 agents are not ready');
  expect(stdout).toMatch(/Operators {2}1 of 1 ready, operator-1 leads, version 0\.1\.0/);
  expect(stderr).toContain('waiting: ');
  await client().raw({
    what: 'make a policy',
    method: 'POST',
    path: '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies',
    body: { metadata: { name: 'deny' }, spec: { podSelector: {} } },
  });
  expect((await run('status')).stdout).toContain('1 NETWORKPOLICIES, AND NOTHING HERE ENFORCES THEM');
  expect(JSON.parse((await run('status -o json')).stdout)).toMatchObject({
    healthy: false,
    leader: 'operator-1',
  });
});

test('--watch prints a row when it is new or has changed, and Ctrl-C ends it with 0 and leaves nothing', async () => {
  const home = path.join(bed().temp.path, 'watch');
  mkdirSync(home);
  const child = spawn(bed().command.file, ['networks', '--watch'], {
    cwd: home,
    env: { PATH: process.env.PATH, HOME: home, TMPDIR: home, KUBECONFIG: bed().plane.kubeconfig },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => (said[stream] += text));
  const over = new Promise((resolve) => {
    child.on('close', (code, signal) => {
      resolve({ code, signal });
    });
  });
  /** Waits for a line that begins with these words. */
  const printed = (...words: string[]) =>
    eventually(
      () => Promise.resolve(said.stdout),
      (text) => lines(text).some((line) => words.every((word, at) => word === line[at])),
      { seconds: 60 },
    );
  await printed('dcos', 'Waiting', '9.0.0.0/16 /24', '0/1');
  await applyNetwork(client(), 'late', [{ cidr: '10.100.0.0/16', prefix: 24 }]);
  await printed('late', 'Waiting', '10.100.0.0/16 /24', '0/1');
  await bed().report();
  await printed('dcos', 'Ready', '9.0.0.0/16 /24', '1/1');
  child.kill('SIGINT');
  expect(await over).toEqual({ code: 0, signal: null });
  expect(said.stderr).toBe('');
  // the header comes once, and an unchanged row does not come again
  expect(said.stdout.match(/^NAME /gm)).toHaveLength(1);
  expect(said.stdout.match(/^dcos +Waiting .* 0\/1 /gm)).toHaveLength(1);
  expect(readdirSync(home)).toEqual([]);
});

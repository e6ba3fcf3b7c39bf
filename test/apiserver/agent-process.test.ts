import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { bundled } from '../../hack/build.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { freePort } from '../support/kubeprocess.ts';
import { scratch } from '../support/fixture.ts';
import { crds } from '../support/agent-harness.ts';
import { eventually } from '../support/eventually.ts';

/** The program itself. Its node never gets an allocation, so that it changes no kernel object. */
let plane: OwnControlPlane;
let program: string;
let at: ReturnType<typeof scratch>;
const children: ChildProcess[] = [];
beforeAll(async () => {
  program = await bundled('agent');
  plane = await startControlPlane();
  await plane.apply(...crds);
});
afterAll(async () => {
  await plane.stop();
});
beforeEach(() => {
  at = scratch();
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  at.drop();
});

function agent(...args: string[]) {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, NODE_NAME: 'node9', NODE_IPS: '192.0.2.9' },
  });
  children.push(child);
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (text: Buffer) => (said.stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (said.stderr += text.toString()));
  const exit = once(child, 'close').then(([code]) => code as number | null);
  return { child, said, exit };
}
const run = (...args: string[]) =>
  agent(
    'run',
    ...['--state-dir', at.path('state'), '--cni-conf-dir', at.path('conf'), '--cni-net-dir', at.path('net')],
    ...['--lease-dir', at.path('leases'), '--run-dir', at.path('run'), '--cni-plugin', at.path('absent')],
    ...args,
  );

test('serves its endpoints, reports why it cannot register, and stops within two seconds', async () => {
  const port = await freePort();
  const { child, said, exit } = run('--kubeconfig', plane.kubeconfig, '--listen', `127.0.0.1:${port}`);
  const get = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method });
  await eventually(async () => {
    expect((await get('/healthz')).status).toBe(200);
  });
  for (const path of ['/readyz', '/overlay-agent/overlay']) expect((await get(path)).status).toBe(503);
  expect((await get('/overlay-agent/overlay', 'POST')).status).toBe(405);
  await eventually(() => {
    expect(said.stderr).toContain('cannot register: no link of this node has the address 192.0.2.9');
  });
  // a kind whose CRD is new answers 429 for a moment
  await eventually(async () => {
    const metrics = await (await get('/metrics')).text();
    expect(metrics).toMatch(/^overlaynet_build_info\{version="[0-9.]+",node="v[0-9.]+"\} 1$/m);
    expect(metrics).toMatch(/^overlaynet_agent_informer_relists_total\{resource="agentallocations"\} 1$/m);
  });
  const asked = Date.now();
  child.kill('SIGTERM');
  expect(await exit).toBe(0);
  expect(Date.now() - asked).toBeLessThan(2_000);
});

test('a port in use causes one line and exit status 1', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const listen = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const { said, exit } = run('--kubeconfig', plane.kubeconfig, '--listen', listen);
    expect(await exit).toBe(1);
    expect(said.stderr).toBe(`agent: cannot listen on ${listen}: another process listens there\n`);
  } finally {
    server.close();
  }
});

test('a second agent on the node prints one line and exits with 1, and the first continues', async () => {
  const flags = ['--kubeconfig', plane.kubeconfig, '--listen', '127.0.0.1:0'];
  const first = run(...flags);
  await eventually(() => {
    expect(first.said.stderr).toContain('agent started');
  });
  const { said, exit } = run(...flags);
  expect(await exit).toBe(1);
  expect(said.stderr).toBe(`agent: another agent listens at ${at.path('run', 'agent.sock')}\n`);
  expect(first.child.exitCode).toBeNull();
});

test('a missing kubeconfig causes one line that names it', async () => {
  const { said, exit } = run('--kubeconfig', at.path('absent'), '--listen', '127.0.0.1:0');
  expect(await exit).not.toBe(0);
  expect(said.stderr).toContain(at.path('absent'));
  expect(said.stderr.trim().split('\n')).toHaveLength(1);
});

test.each([
  [
    ['--addresses', '10.0.0.1,10.0.0.2'],
    'agent: --addresses "10.0.0.1,10.0.0.2": at most one IPv4 and one IPv6 address\n',
  ],
  [['--frob'], "error: unknown option '--frob'\n"],
])('flags %j are refused in one line, with exit status 2', async (args, words) => {
  const { said, exit } = run(...args);
  expect(await exit).toBe(2);
  expect(said.stderr).toBe(words);
});

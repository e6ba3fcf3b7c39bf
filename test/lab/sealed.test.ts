import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../../hack/parts/command.ts';
import { kubeconfig, labNamed, root } from '../../hack/testbed/lab.ts';
import { processesOf, until } from '../../hack/testbed/processes.ts';
import { environment, hack, lab, onNode } from '../support/lab.ts';

const other = labNamed('ovt-other');

/** The machine's own links, addresses, routes and rules. */
const machine = async () =>
  Promise.all(
    [
      ['-br', 'link'],
      ['route', 'show', 'table', 'all'],
      ['-6', 'route', 'show', 'table', 'all'],
      ['rule'],
      ['nexthop'],
    ].map((args) => command('ip', args)),
  );
const namespaces = async (name: string) =>
  (await command('ip', ['netns', 'list'])).split('\n').filter((line) => line.startsWith(`${name}-`));

afterEach(async () => {
  await hack('down', '--name', other.name);
});

test('no packet can leave the lab, and the machine has nothing of it', async () => {
  for (const node of ['node1', 'node2', 'node3']) {
    expect(await onNode(node, 'ip', 'route', 'show', 'default')).toBe('');
    expect(await onNode(node, 'ip', '-6', 'route', 'show', 'default')).toBe('');
  }
  const all = (await machine()).join('\n');
  for (const sign of ['vtep', 'veth', '172.17.0.', '9.0.', '44.128.', 'fd01:'])
    expect(all).not.toContain(sign);
});

test('a second lab runs beside the first, and down removes it completely after its up was killed', async () => {
  const before = await machine();
  const args = [join(root, 'hack', 'up.ts'), '--name', other.name, '--nodes', '2'];
  const up = spawn(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: '' }, stdio: 'ignore' });
  const ended = new Promise((resolve) => up.on('exit', resolve));
  await until('the other lab is up', () => (existsSync(join(other.dir, 'env')) ? true : undefined), {
    seconds: 60,
  });

  expect(environment('STATE_URL', other)).not.toBe(environment('STATE_URL', lab));
  const names = async (of: typeof lab) =>
    ((await (await fetch(environment('STATE_URL', of))).json()) as { agents: unknown[] }).agents.length;
  expect([await names(lab), await names(other)]).toEqual([3, 2]);
  expect(await machine()).toEqual(before);
  expect(await namespaces(other.name)).toHaveLength(3);

  await expect(hack('up', '--name', other.name)).rejects.toThrow('is up already');
  up.kill('SIGKILL');
  await ended;
  expect(processesOf(other).length).toBeGreaterThan(5);
  await hack('down', '--name', other.name);
  expect(processesOf(other)).toEqual([]);
  expect(await namespaces(other.name)).toEqual([]);
  expect(existsSync(other.dir)).toBe(false);
  expect(await machine()).toEqual(before);
  expect(existsSync(kubeconfig(lab))).toBe(true);
});

test.each([
  [['--nodes', '0'], 'number from 1 to 250'],
  [['--overlay', '/nowhere.yaml'], 'no such file'],
  [['--name', 'Not_A_Name'], 'is no name for a lab'],
  [['--frobnicate'], 'unknown option'],
  [['--detach', '--check'], 'exclude each other'],
])('up %j is refused with a message', async (args, words) => {
  await expect(hack('up', ...args)).rejects.toThrow(words);
});

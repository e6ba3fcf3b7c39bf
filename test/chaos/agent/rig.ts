import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine } from '../../../hack/parts/command.ts';
import type { Parts } from '../../../hack/parts.ts';
import type { Lab } from '../../../hack/testbed/lab.ts';
import { inNode } from '../../../hack/testbed/namespaces.ts';
import { end, marks, until } from '../../../hack/testbed/processes.ts';
import { startAgent } from '../../../hack/testbed/workloads.ts';
import type { Client } from '../../../src/kube/client.ts';
import { tracesIn, type Traces } from '../../support/residue.ts';

/** A running lab, and what its scenarios need. */
export interface Rig {
  lab: Lab;
  parts: Parts;
  /** With all rights. */
  client: Client;
}

/** One figure, what is asked of it, and whether it is met. */
export interface Measured {
  what: string;
  value: string;
  asked: string;
  ok: boolean;
  /** What to look at where it is not met. */
  details?: readonly string[];
}

/** A count that has to be as it is asked. */
export const counted = (what: string, value: number, asked: number): Measured => ({
  what,
  value: String(value),
  asked: String(asked),
  ok: value === asked,
});

/** A list that has to be empty. */
export const none = (what: string, found: readonly string[]): Measured => ({
  ...counted(what, found.length, 0),
  details: found,
});

/** A time. A machine that is busy may take ten times what is asked: only beyond that the run fails. */
export const timed = (what: string, ms: number, askedMs: number): Measured => ({
  what,
  value: `${(ms / 1_000).toFixed(2)} s${ms > askedMs ? ' (missed)' : ''}`,
  asked: `${askedMs / 1_000} s`,
  ok: ms <= askedMs * 10,
});

export const partsOf = (lab: Lab): Parts =>
  JSON.parse(readFileSync(join(lab.dir, 'parts.json'), 'utf8')) as Parts;

/** Runs a program on a node to its end. Throws CommandFailed. */
export const onNode = ({ lab }: Rig, node: string, ...argv: string[]): Promise<string> =>
  commandLine([...inNode(lab, node), ...argv]);

export const shellOn = (rig: Rig, node: string, script: string): Promise<string> =>
  onNode(rig, node, 'sh', '-c', script);

/**
 * What a node's kernel and files show, without the checkpoint, which tells versions of objects. With `ids` also the kernel's own
 * numbers of links and rules: an object that was removed and made again has another.
 */
export async function tracesOf(rig: Rig, node: string, ids = false): Promise<Traces> {
  await until(`addresses of ${node}`, async () =>
    (await onNode(rig, node, 'ip', '-6', 'address', 'show', 'tentative')) === '' ? true : undefined,
  );
  const lines = await tracesIn((command) => shellOn(rig, node, command));
  const numbers = ids
    ? await shellOn(rig, node, 'ip -o link show | cut -d: -f1,2; nft -s -a list ruleset')
    : '';
  return [
    ...lines.filter((line) => !/^contents: .*checkpoint\.json$/.test(line)),
    ...numbers.split('\n').map((line) => `ids: ${line.trim()}`),
  ];
}

/** Waits until a node's agent has made a pass. */
export async function agentReady({ lab }: Rig, node: string): Promise<void> {
  const script = `const r = await fetch('http://127.0.0.1:9181/readyz'); process.exit(r.ok ? 0 : 1)`;
  const argv = [...inNode(lab, node), process.execPath, '--input-type=module', '-e', script];
  const asked = () =>
    commandLine(argv, { env: { ...process.env, NODE_OPTIONS: '' } }).then(
      () => true as const,
      () => undefined,
    );
  await until(`agent of ${node} ready`, asked, { lab, roles: [`agent-${node}`] });
}

export const endAgent = ({ lab }: Rig, node: string, how: 'SIGTERM' | 'SIGKILL'): Promise<void> =>
  end(lab, { role: `agent-${node}` }, how);

export async function restartAgent(rig: Rig, node: string, how: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  await endAgent(rig, node, how);
  startAgent(rig.lab, node);
  await agentReady(rig, node);
}

/** Collects what `ip monitor` says on a node of links, addresses, routes, rules and nexthops until it is stopped. */
export async function monitor({ lab }: Rig, node: string): Promise<() => Promise<string[]>> {
  const kinds = ['link', 'address', 'route', 'rule', 'nexthop'];
  const [program = '', ...args] = [...inNode(lab, node), 'ip', 'monitor', ...kinds];
  const env = { ...process.env, ...marks(lab, 'chaos') };
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env });
  let said = '';
  child.stdout.on('data', (text: Buffer) => (said += text.toString()));
  const ended = once(child, 'close');
  // it says nothing when it is ready; a change that it misses is in the traces
  await new Promise((resolve) => setTimeout(resolve, 300));
  return async () => {
    child.kill();
    await ended;
    return said.split('\n').filter((line) => line !== '');
  };
}

/**
 * Waits until the kernel has said nothing of links and routes for 16 s: it repeats what a bridge's port is when the bridge's forward delay
 * of 15 s is over.
 */
export async function quiet(rig: Rig, node: string): Promise<void> {
  await until(
    `nothing changes on ${node}`,
    async () => {
      const stop = await monitor(rig, node);
      await new Promise((resolve) => setTimeout(resolve, 16_000));
      return (await stop()).length === 0 ? true : undefined;
    },
    { seconds: 60 },
  );
}

/** Waits, and returns the milliseconds from `start` until `holds` is true. */
export async function took(
  what: string,
  start: number,
  holds: () => Promise<boolean>,
  seconds: number,
): Promise<number> {
  await until(what, async () => ((await holds()) ? true : undefined), { seconds });
  return performance.now() - start;
}

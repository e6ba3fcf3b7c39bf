import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine } from '../../../hack/parts/command.ts';
import type { Parts } from '../../../hack/parts.ts';
import { addressesOf, type Lab } from '../../../hack/testbed/lab.ts';
import { inNode } from '../../../hack/testbed/namespaces.ts';
import { end, marks, until } from '../../../hack/testbed/processes.ts';
import { agentPort, startAgent } from '../../../hack/testbed/workloads.ts';
import type { Client } from '../../../src/kube/client.ts';
import { tracesIn, type Traces } from '../../support/residue.ts';

/** A running lab, and the tools of its scenarios. */
export interface Rig {
  lab: Lab;
  parts: Parts;
  /** A client with all rights. */
  client: Client;
}

/** A figure, its expected value, and whether it is met. */
export interface Measured {
  what: string;
  value: string;
  asked: string;
  ok: boolean;
  /** The bound was missed, but the machine may be busy. */
  missed?: boolean;
  /** Details to show if the figure failed or missed its bound. */
  details?: readonly string[];
}

/** A count with an expected value. */
export const counted = (what: string, value: number, asked: number): Measured => ({
  what,
  value: String(value),
  asked: String(asked),
  ok: value === asked,
});

/** A list that must be empty. */
export const none = (what: string, found: readonly string[]): Measured => ({
  ...counted(what, found.length, 0),
  details: found,
});

/** A time with a bound. A busy machine may take ten times as long; the run fails only beyond that. */
export const timed = (what: string, ms: number, askedMs: number): Measured => ({
  what,
  value: `${(ms / 1_000).toFixed(2)} s${ms > askedMs ? ' (missed)' : ''}`,
  missed: ms > askedMs,
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
 * Returns the lines that a node's kernel and files show, without the checkpoint, which contains versions of objects.
 * With `ids` it includes the kernel's own numbers of links and rules: a removed and remade object has another number.
 * @param options.of as in `tracesIn`
 */
export async function tracesOf(
  rig: Rig,
  node: string,
  { ids = false, of }: { ids?: boolean; of?: ReadonlySet<string> } = {},
): Promise<Traces> {
  await until(`addresses of ${node}`, async () =>
    (await onNode(rig, node, 'ip', '-6', 'address', 'show', 'tentative')) === '' ? true : undefined,
  );
  const lines = await tracesIn((command) => shellOn(rig, node, command), of);
  const numbers = ids
    ? await shellOn(rig, node, 'ip -o link show | cut -d: -f1,2; nft -s -a list ruleset')
    : '';
  return [
    ...lines.filter((line) => !/^contents: .*checkpoint\.json$/.test(line)),
    ...numbers.split('\n').flatMap((line) => (line === '' ? [] : [`ids: ${line.trim()}`])),
  ];
}

/** Waits until a node's agent has completed a pass. */
export async function agentReady({ lab }: Rig, node: string): Promise<void> {
  const url = `https://${addressesOf(node)[0]}:${agentPort}/readyz`;
  const script = `const r = await fetch('${url}'); process.exit(r.ok ? 0 : 1)`;
  const argv = [...inNode(lab, node), process.execPath, '--no-warnings', '--input-type=module', '-e', script];
  const asked = () =>
    commandLine(argv, { env: { ...process.env, NODE_OPTIONS: '', NODE_TLS_REJECT_UNAUTHORIZED: '0' } }).then(
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

/**
 * Collects the output of `ip monitor` on a node about links, addresses, routes, rules and nexthops until it is stopped.
 */
export async function monitor({ lab }: Rig, node: string): Promise<() => Promise<string[]>> {
  const kinds = ['link', 'address', 'route', 'rule', 'nexthop'];
  const [program = '', ...args] = [...inNode(lab, node), 'ip', 'monitor', ...kinds];
  const env = { ...process.env, ...marks(lab, 'chaos') };
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  const ended = once(child, 'close');
  // it does not say when it is ready; a change that it misses shows in the traces
  await new Promise((resolve) => setTimeout(resolve, 300));
  return async () => {
    child.kill();
    await ended;
    return output.split('\n').filter((line) => line !== '');
  };
}

/**
 * Waits until the kernel has reported nothing about links and routes for 16 s: it reports a bridge port again when the
 * bridge's forward delay of 15 s is over.
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

/** Waits until `holds` is true, and returns the milliseconds since `start`. */
export async function took(
  what: string,
  start: number,
  holds: () => Promise<boolean>,
  seconds: number,
): Promise<number> {
  await until(what, async () => ((await holds()) ? true : undefined), { seconds });
  return performance.now() - start;
}

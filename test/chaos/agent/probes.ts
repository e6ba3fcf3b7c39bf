import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { command } from '../../../hack/parts/command.ts';
import { say } from '../../../hack/parts/progress.ts';
import { kubectl } from '../../../hack/testbed/install.ts';
import { hub } from '../../../hack/testbed/lab.ts';
import { inNode } from '../../../hack/testbed/namespaces.ts';
import { end, start, until } from '../../../hack/testbed/processes.ts';
import { withoutLength } from '../../../src/net/address.ts';
import { agentAllocations, overlayAgents } from '../../../src/kube/resources.ts';
import type { PeerRow } from '../../../src/rows/probe.ts';
import { CommandLine } from '../../support/commandline.ts';
import { causes, sudden, type Cause } from './probecauses.ts';
import { none, shellOn, timed, type Measured, type Rig } from './rig.ts';

/** What the words in capitals of a script stand for: places of a node. */
async function placesOf({ client }: Rig, node: string): Promise<(script: string) => string> {
  const allocation = await client.get(agentAllocations, node);
  const cidrs = allocation?.spec.networks?.flatMap(({ subnets }) => subnets) ?? [];
  const block = cidrs.map(({ cidr }) => cidr).find((cidr) => cidr.includes('.'));
  const vtep = allocation?.spec.vtep?.ip;
  if (block === undefined || vtep === undefined) throw new Error(`${node} has no IPv4 block, or no VTEP`);
  return (script) => script.replaceAll('BLOCK', withoutLength(block)).replaceAll('VTEP', withoutLength(vtep));
}

const placed = (rig: Rig, at: string, script: string): Promise<string> =>
  at === 'hub'
    ? command('ip', ['netns', 'exec', hub(rig.lab), 'sh', '-c', script])
    : shellOn(rig, at, script);

const switched = (rig: Rig, probes: object | null): Promise<string> =>
  kubectl(rig.lab, rig.parts, [
    ...['patch', 'overlayconfig', 'default', '--type=merge'],
    `-p=${JSON.stringify({ spec: { probes } })}`,
  ]);

/** `DataPathProbed` of every agent, by node. */
async function conditionsOf({
  client,
}: Rig): Promise<Map<string, { status: string; reason: string; message: string }>> {
  const { items } = await client.list(overlayAgents);
  return new Map(
    items.flatMap(({ metadata, status }) => {
      const one = status?.conditions?.find(({ type }) => type === 'DataPathProbed');
      return one === undefined ? [] : [[metadata.name, one] as const];
    }),
  );
}

/** Waits until every agent says that all is well, and returns in how many milliseconds. */
async function healthy(rig: Rig, nodes: number): Promise<number> {
  const start = performance.now();
  await until(
    'every agent has probed, and all is well',
    async () => {
      const all = [...(await conditionsOf(rig)).values()];
      return all.length === nodes && all.every(({ status }) => status === 'True') ? true : undefined;
    },
    { seconds: 600 },
  );
  return performance.now() - start;
}

/** Whether a condition names the verdict on that node. */
const names = ({ to, verdict }: Cause, condition: { reason: string; message: string } | undefined): boolean =>
  condition !== undefined &&
  ((condition.reason === verdict && condition.message.startsWith(`${to}: `)) ||
    condition.message.includes(`${to} ${verdict}`));

/** Verdicts that agents give in so many milliseconds although nothing is wrong. */
async function falseOnes(rig: Rig, ms: number): Promise<string[]> {
  const found = new Set<string>();
  const end = performance.now() + ms;
  while (performance.now() < end) {
    for (const [node, { status, message }] of await conditionsOf(rig))
      if (status === 'False') found.add(`${node}: ${message}`);
    await sleep(5_000);
  }
  return [...found];
}

/** `kubectl overlay probe` between two nodes: what the first says. */
async function asked(rig: Rig, line: CommandLine, { from, to }: Cause): Promise<PeerRow | undefined> {
  const env = readFileSync(join(rig.lab.dir, 'env'), 'utf8');
  const server = new URL(/^STATE_URL=(.*)$/m.exec(env)?.[1] ?? '').origin;
  const { stdout, stderr } = await line.run(['probe', '--from', from, '--to', to, '-o', 'json'], {
    OVERLAYNET_SERVER: server,
  });
  if (!stdout.startsWith('{')) throw new Error(stderr);
  const { rows } = JSON.parse(stdout) as { rows: PeerRow[] };
  return rows.find((row) => row.node === from && row.peer === to);
}

/** Does what is to be wrong, and takes it back after `meanwhile`. */
async function damaged(
  rig: Rig,
  wanted: readonly Cause[],
  meanwhile: () => Promise<Measured[]>,
): Promise<Measured[]> {
  const undone: (() => Promise<unknown>)[] = [];
  try {
    for (const { at, to, does, undo, keeps } of wanted) {
      const filled = await placesOf(rig, to);
      await placed(rig, at, filled(does));
      undone.unshift(() => placed(rig, at, filled(undo)));
      if (keeps === undefined) continue;
      const role = `damage-${at}`;
      start(rig.lab, role, [...inNode(rig.lab, at), 'sh', '-c', filled(keeps)]);
      undone.unshift(() => end(rig.lab, { role }, 'SIGKILL'));
    }
    return await meanwhile();
  } finally {
    for (const undo of undone) await undo();
  }
}

/** What the command says of each, asked at the same time. */
const named = (rig: Rig, line: CommandLine, wanted: readonly Cause[]): Promise<Measured[]> =>
  Promise.all(wanted.map((cause) => measure(rig, line, cause)));

async function measure(rig: Rig, line: CommandLine, cause: Cause): Promise<Measured> {
  const { from, to, verdict, evidence, contested = false } = cause;
  let row: PeerRow | undefined;
  // a machine that is too busy for a look at a kernel says so: it is asked again
  await until(
    `${from} judges its way to ${to}`,
    async () => {
      row = await asked(rig, line, cause);
      return row?.is === 'Unknown' || (contested && row?.verdict !== verdict) ? undefined : true;
    },
    { seconds: 120 },
  ).catch(() => undefined);
  const value = row?.verdict ?? row?.is ?? 'nothing';
  const details = [row?.evidence ?? '', row?.remedy ?? ''];
  say(`${from} → ${to}: ${value}: ${details.join('; ')}`);
  const isSaid = details.every((text) => text !== '') && (evidence?.test(row?.evidence ?? '') ?? true);
  const what = `probe --from ${from} --to ${to}`;
  return { what, value, asked: verdict, ok: value === verdict && isSaid, details };
}

/** One group of causes, from the healthy lab to the healthy lab. */
async function group(
  rig: Rig,
  line: CommandLine,
  wanted: readonly Cause[],
  nodes: number,
): Promise<Measured[]> {
  const start = performance.now();
  const measured = await damaged(rig, wanted, async () => {
    const found = await named(rig, line, wanted);
    for (const cause of wanted) found.push(await concluded(rig, cause, start));
    return found;
  });
  measured.push(timed('all is well again after', await healthy(rig, nodes), 240_000));
  return measured;
}

/** How long a condition needed to name it. */
async function concluded(rig: Rig, cause: Cause, start: number): Promise<Measured> {
  const { from, to, verdict } = cause;
  let last = '';
  const isNamed = await until(
    `${from} names ${to} ${verdict}`,
    async () => {
      const condition = (await conditionsOf(rig)).get(from);
      last = condition?.message ?? '';
      return names(cause, condition) ? true : undefined;
    },
    { seconds: 600 },
  ).catch(() => false);
  const what = `condition of ${from} names ${to} ${verdict}`;
  if (isNamed) return timed(what, performance.now() - start, 240_000);
  return { what, value: 'no', asked: 'yes', ok: false, details: [last] };
}

/** `kubectl overlay probe` while no agent probes by itself: causes that the command alone names. */
export async function commanded(rig: Rig): Promise<Measured[]> {
  const line = await CommandLine.build();
  try {
    const measured: Measured[] = [];
    for (const wanted of sudden)
      measured.push(...(await damaged(rig, wanted, () => named(rig, line, wanted))));
    return measured;
  } finally {
    await line.remove();
  }
}

/**
 * Agents probe each other: no verdict while all is well, and each cause is named by the command and by the condition.
 * @param quietMs how long nothing is wrong at first
 * @param most how many groups of causes, one after another from the list; all of them by default
 */
export async function probes(rig: Rig, quietMs: number, most = Infinity): Promise<Measured[]> {
  const nodes = (await rig.client.list(overlayAgents)).items.length;
  const line = await CommandLine.build();
  await switched(rig, { peers: 5 });
  try {
    const measured = [
      timed(`${nodes} agents have probed, and all is well, after`, await healthy(rig, nodes), 180_000),
    ];
    const found = await falseOnes(rig, quietMs);
    measured.push(none(`verdicts in ${quietMs / 1_000} s although nothing is wrong`, found));
    for (const wanted of causes.slice(0, most)) measured.push(...(await group(rig, line, wanted, nodes)));
    return measured;
  } finally {
    await switched(rig, null);
    await line.remove();
  }
}

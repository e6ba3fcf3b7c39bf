import { mostProbed, type PeerRow } from '../rows/probe.ts';
import type { Access } from './access.ts';
import { read } from './chain.ts';
import { CommandFailure } from './failure.ts';
import { fewAtOnce } from './few.ts';
import { skew } from './list.ts';
import type { Output } from './output.ts';
import { Table } from './table.ts';
import { harmless, harmlessJSON } from './text.ts';

export interface ProbeOptions {
  from?: string;
  to?: string;
  all?: boolean;
  /** Pairs of nodes, as typed. */
  sample?: string;
  output?: 'json';
}

/** A request to one node: which peers to probe. */
export interface Ask {
  node: string;
  peers: string[];
}

/** Number of agents that probe at once. More would slow each other down. */
const atOnce = 4;
/** Maximum number of peers in one request: an agent probes that many at once. */
const mostEach = Math.min(8, mostProbed);
const usualSample = 20;

interface Result {
  rows: PeerRow[];
  /** A phrase for each thing that could not be found out. */
  unknown: string[];
}

/** `probe`. @returns 0: no verdict; 1: a verdict; 2: something could not be found out */
export async function probe(access: Access, options: ProbeOptions, out: Output): Promise<number> {
  const agents = (await access.all('agents')).items;
  const nodes = agents.flatMap(({ node, vtep }) => (vtep === undefined ? [] : [node]));
  const asks = asksOf(pairsOf(nodes, options));
  const result = await ask(access, asks, out);
  const rows = settled(await confirmed(access, result, out));
  if (options.output === 'json') out.line(harmlessJSON({ rows, unknown: result.unknown }));
  else show(rows, result.unknown, out);
  skew(access, out);
  if (rows.some(({ is }) => is === 'Wrong')) return 1;
  return result.unknown.length > 0 || rows.some(({ is }) => is !== 'OK') ? 2 : 0;
}

/** Chooses the pairs of nodes to probe. @throws CommandFailure if the flags contradict the cluster or each other */
export function pairsOf(
  nodes: readonly string[],
  { from, to, all = false, sample }: ProbeOptions,
  random: () => number = Math.random,
): [string, string][] {
  for (const [flag, node] of [
    ['--from', from],
    ['--to', to],
  ] as const)
    if (node !== undefined && !nodes.includes(node))
      throw new CommandFailure(
        `${flag} "${node}": no such node has a tunnel’s end`,
        'see kubectl overlay agents',
      );
  if (from !== undefined && from === to)
    throw new CommandFailure(`--from and --to are both "${from}"`, 'name two nodes');
  if (all && sample !== undefined)
    throw new CommandFailure('--all and --sample exclude each other', 'give one of them');
  const count = sample === undefined ? usualSample : /^[0-9]{1,6}$/.test(sample) ? Number(sample) : 0;
  if (count < 1)
    throw new CommandFailure(
      `--sample "${sample ?? ''}" is not a whole number from 1`,
      'give one such as 20',
    );
  if (nodes.length < 2)
    throw new CommandFailure(
      'there are no two nodes that could probe each other',
      'see kubectl overlay agents',
    );
  const one = from ?? to;
  if (one !== undefined && from !== undefined && to !== undefined) return [[from, to]];
  if (one !== undefined)
    return taken(
      nodes.filter((node) => node !== one).map((node) => [one, node]),
      all,
      count,
      random,
    );
  if (all || nodes.length * (nodes.length - 1) <= 2 * count)
    return nodes.flatMap((node, at) => nodes.slice(at + 1).map((other): [string, string] => [node, other]));
  return sampleOf(nodes, count, random);
}

function taken(
  pairs: [string, string][],
  all: boolean,
  count: number,
  random: () => number,
): [string, string][] {
  if (all) return pairs;
  return pairs
    .map((pair) => ({ pair, place: random() }))
    .sort((a, b) => a.place - b.place)
    .slice(0, count)
    .map(({ pair }) => pair);
}

/** Draws random pairs without listing all of them, which may be half a million. */
function sampleOf(nodes: readonly string[], count: number, random: () => number): [string, string][] {
  const pairs = new Map<string, [string, string]>();
  while (pairs.size < count) {
    const [a = 0, b = 0] = [random(), random()]
      .map((one) => Math.floor(one * nodes.length))
      .sort((x, y) => x - y);
    if (a !== b) pairs.set(`${a} ${b}`, [nodes[a] ?? '', nodes[b] ?? '']);
  }
  return [...pairs.values()];
}

/** Arranges the requests in steps. Both nodes of a pair probe in the same step, so that each can hear the other. */
export function asksOf(pairs: readonly [string, string][]): Ask[][] {
  const steps: Ask[][] = [];
  const byFirst = Map.groupBy(pairs, ([from]) => from);
  for (const [node, some] of byFirst)
    for (let at = 0; at < some.length; at += mostEach) {
      const peers = some.slice(at, at + mostEach).map(([, peer]) => peer);
      steps.push([{ node, peers }, ...peers.map((peer) => ({ node: peer, peers: [node] }))]);
    }
  return steps;
}

async function ask(access: Access, steps: Ask[][], out: Output): Promise<Result> {
  const result: Result = { rows: [], unknown: [] };
  let done = 0;
  out.note(
    `probing ${steps.reduce((sum, step) => sum + step.reduce((all, { peers }) => all + peers.length, 0), 0)} ways between nodes`,
  );
  await fewAtOnce(steps, atOnce, async (step) => {
    await Promise.all(step.map((one) => askOne(access, one, result)));
    done++;
    if (steps.length > 1 && (done % 10 === 0 || done === steps.length))
      out.note(`probed ${done} of ${steps.length} groups of nodes`);
  });
  return result;
}

/** Probes pairs with a verdict a second time, because one check may have met a busy machine. */
async function confirmed(access: Access, first: Result, out: Output): Promise<PeerRow[]> {
  const wrong = first.rows.filter(({ is }) => is === 'Wrong');
  if (wrong.length === 0) return first.rows;
  out.note(`probing ${wrong.length} of them again, which gave a verdict`);
  const key = ({ node, peer }: PeerRow) => `${node}\n${peer}`;
  const pairs = new Map(
    wrong.map(({ node, peer }) => [[node, peer].sort().join('\n'), [node, peer] as [string, string]]),
  );
  const again = await ask(access, asksOf([...pairs.values()]), out);
  first.unknown.push(...again.unknown.filter((one) => !first.unknown.includes(one)));
  const later = new Map(again.rows.map((row) => [key(row), row]));
  return first.rows.map((row) => (row.is === 'Wrong' ? (later.get(key(row)) ?? once(row)) : row));
}

/** The row of a pair whose second check failed. */
const once = ({ verdict, evidence, ...row }: PeerRow): PeerRow => ({
  ...row,
  is: 'Unknown',
  evidence: `one check says ${verdict ?? ''}: ${evidence}; a second could not be made`,
  remedy: '',
});

async function askOne(access: Access, { node, peers }: Ask, result: Result): Promise<void> {
  const answer = await read(() => access.probe(node, peers));
  if ('why' in answer) {
    result.unknown.push(`what ${node} reaches: ${answer.why}`);
    return;
  }
  result.rows.push(...answer.value.rows);
  for (const problem of answer.value.problems) result.unknown.push(`${node}: ${problem}`);
  for (const peer of peers)
    if (!answer.value.rows.some((row) => row.peer === peer))
      result.unknown.push(`${node} does not know a node ${peer}: kubectl overlay why node ${node}`);
}

/** Corrects a verdict PeerDown if that peer itself answered the command: one node alone cannot know. */
export function settled(rows: readonly PeerRow[]): PeerRow[] {
  const key = (node: string, peer: string) => `${node}\n${peer}`;
  const known = new Map(rows.map((row) => [key(row.node, row.peer), row]));
  return rows
    .map((row) => {
      const back = known.get(key(row.peer, row.node));
      if (row.verdict !== 'PeerDown' || back?.verdict !== 'OneWay') return row;
      return { ...row, verdict: 'OneWay' as const, evidence: back.evidence, remedy: back.remedy };
    })
    .sort((a, b) => (key(a.node, a.peer) < key(b.node, b.peer) ? -1 : 1));
}

const ms = (value: number | undefined): string => (value === undefined ? '-' : `${value.toFixed(1)} ms`);

function show(rows: readonly PeerRow[], unknown: readonly string[], out: Output): void {
  const wrong = rows.filter(({ is }) => is === 'Wrong');
  const open = rows.filter(({ is }) => is === 'Unknown' || is === 'Unprobed');
  out.line(
    wrong.length === 0
      ? `${rows.length - open.length} of ${rows.length} ways between nodes were probed, and packets of every kind pass`
      : `${wrong.length} of ${rows.length} ways between nodes do not work as they should`,
  );
  if (rows.length > 0) {
    out.line('');
    // pairs without a fault are only counted
    const shown = wrong.length + open.length > 0 ? [...wrong, ...open] : rows;
    const cells = shown.map(({ node, peer, is, verdict, underlayMs, overlayMs, evidence }) => [
      ...[node, peer, verdict ?? is, ms(underlayMs), ms(overlayMs)],
      evidence === '' ? '-' : evidence,
    ]);
    for (const line of new Table(out).lines([
      ['FROM', 'TO', 'VERDICT', 'UNDERLAY', 'OVERLAY', 'EVIDENCE'],
      ...cells,
    ]))
      out.line(line);
  }
  if (wrong.length > 0) out.line('');
  for (const remedy of new Set(wrong.map((row) => `${row.verdict ?? ''}: ${row.remedy}`)))
    out.line(harmless(`  ${remedy}`));
  for (const one of unknown) out.warn(`not known: ${one}`);
}

import { readFile } from 'node:fs/promises';
import { parseFailures } from '../linux/batch.ts';
import { CommandError, type Run } from '../linux/run.ts';
import {
  faultsOf,
  isRead,
  type Fault,
  type SeenOfPeer,
  type WantedOfPeer,
  type Way,
} from '../verdict/faults.ts';

/** Time limit of each program; long, because an unread kernel leaves the cause of a loss open on a busy machine. */
const timeoutMs = 5_000;
/** Pause between two reads; longer than the agent needs to write an entry that it is just making. */
const againMs = 1_000;
/** How often the kernel is read in one search: the agent may be writing during one read or two. */
const mostLooks = 4;

/** Reads this kernel's entries for one peer. It starts four processes, whatever the number of peers. */
export async function lookAtPeer(run: Run, wanted: WantedOfPeer): Promise<SeenOfPeer> {
  const { tunnel, routes, vteps, address, mac, membersSet } = wanted;
  const targets = [...routes.map(({ to }) => to), ...vteps, address];
  const lines = [
    ...targets.map((to) => `route get ${to}`),
    ...vteps.map((to) => `neigh show to ${to} dev ${tunnel}`),
    `neigh show to ${address}`,
  ];
  const [batch, link, fdb, member] = await Promise.all([
    text(run, 'ip', ['-j', '-force', '-batch', '-'], `${lines.join('\n')}\n`),
    text(run, 'ip', ['-j', 'link', 'show']),
    text(run, 'bridge', ['-j', 'fdb', 'get', mac, 'dev', tunnel, 'self']),
    text(run, 'ipset', ['test', membersSet, address]),
  ]);
  const answers = batch === undefined ? [] : answersOf(lines, batch);
  const links = linksIn(link);
  const ways = new Map(targets.flatMap((to, at) => wayIn(to, answers[at], links)));
  const state = tunnelIn(links, tunnel);
  const entries = state === 'Up' ? answers.slice(targets.length, targets.length + vteps.length) : [];
  return {
    tunnel: state,
    ways,
    macs: new Map(vteps.flatMap((vtep, at) => macIn(vtep, entries[at]))),
    destination: state === 'Up' ? destinationIn(fdb) : undefined,
    isMember: memberIn(member),
    neighbour: neighbourIn(answers.at(-1)),
  };
}

/** What the agent does while its kernel is read. */
interface Meanwhile {
  /** Returns whether the peer's entries should still be as `wanted` says. */
  isWanted: () => boolean;
  /** Counts beginnings and ends of the agent's passes that change the kernel: odd during one. */
  steps: () => number;
}

/**
 * Returns the faults that two reads of the kernel both show, the second while the agent changes nothing. What both show
 * although the agent has written in between is a fault, too: another program writes there, or the agent's writes fail.
 * `faults` is undefined if the peer's entries should meanwhile be others, if the agent writes all the time, if a fault was
 * gone by the second read, or if none was found and a part could not be read: what was lost meanwhile has no known cause.
 */
export async function lookForFaults(
  run: Run,
  wanted: WantedOfPeer,
  { isWanted, steps, pauseMs = againMs }: Meanwhile & { pauseMs?: number },
): Promise<{ seen: SeenOfPeer; faults: Fault[] | undefined }> {
  let seen = await lookAtPeer(run, wanted);
  const first = faultsOf(wanted, seen);
  if (first.length === 0) return { seen, faults: isRead(wanted, seen) ? [] : undefined };
  const before = new Set(first.map(({ evidence }) => evidence));
  for (let look = 1; look < mostLooks; look++) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const step = steps();
    seen = await lookAtPeer(run, wanted);
    if (!isWanted()) break;
    if (step % 2 === 1 || steps() !== step) continue;
    const faults = faultsOf(wanted, seen).filter(({ evidence }) => before.has(evidence));
    return { seen, faults: faults.length > 0 ? faults : undefined };
  }
  return { seen, faults: undefined };
}

interface Printed {
  stdout: string;
  stderr: string;
  code: number;
}

/** Runs a program; undefined if it did not run to its end. */
async function text(run: Run, program: string, args: string[], input = ''): Promise<Printed | undefined> {
  try {
    return await run(program, args, { input, timeoutMs });
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}

/** The answer to one line of the batch: JSON, or the reason of its failure; undefined if the batch ended before it. */
type Answer = { json: unknown } | { why: string } | undefined;

function answersOf(lines: readonly string[], { stdout, stderr }: Printed): Answer[] {
  const failed = new Map(parseFailures(stderr).failed.map(({ line, words }) => [line, words]));
  const printed = stdout.split('\n').filter((line) => line.trim() !== '');
  return lines.map((_, at): Answer => {
    const why = failed.get(at + 1);
    if (why !== undefined) return { why };
    const line = printed.shift();
    if (line === undefined) return undefined;
    try {
      return { json: JSON.parse(line) };
    } catch {
      return undefined;
    }
  });
}

interface RouteJSON {
  type?: string;
  dev?: string;
  gateway?: string;
  via?: { host?: string };
  metrics?: { mtu?: number }[];
}

const first = (answer: Answer): unknown =>
  answer !== undefined && 'json' in answer && Array.isArray(answer.json)
    ? (answer.json as unknown[])[0]
    : undefined;

function wayIn(to: string, answer: Answer, links: Links): [string, Way][] {
  if (answer === undefined) return [];
  if ('why' in answer) return [[to, { why: answer.why }]];
  const route = first(answer) as RouteJSON | undefined;
  if (route === undefined) return [];
  const { type = 'unicast', dev, gateway, via, metrics } = route;
  if (type !== 'unicast') return [[to, { why: `it is ${type}` }]];
  const router = gateway ?? via?.host;
  const mtus = [metrics?.[0]?.mtu, links?.get(dev ?? '')?.mtu].filter((one) => one !== undefined);
  return [
    [
      to,
      {
        ...(dev === undefined ? {} : { link: dev }),
        ...(router === undefined ? {} : { via: router }),
        ...(mtus.length === 0 ? {} : { mtu: Math.min(...mtus) }),
      },
    ],
  ];
}

function macIn(vtep: string, answer: Answer): [string, string | undefined][] {
  if (answer === undefined || 'why' in answer) return [];
  return [[vtep, (first(answer) as { lladdr?: string } | undefined)?.lladdr]];
}

const neighbourIn = (answer: Answer): string | undefined =>
  (first(answer) as { state?: string[] } | undefined)?.state?.join(',');

type Links = ReadonlyMap<string, { isUp: boolean; mtu: number }> | undefined;

function linksIn(printed: Printed | undefined): Links {
  if (printed?.code !== 0) return undefined;
  try {
    const links = JSON.parse(printed.stdout) as { ifname: string; mtu: number; flags?: string[] }[];
    return new Map(links.map(({ ifname, mtu, flags = [] }) => [ifname, { mtu, isUp: flags.includes('UP') }]));
  } catch {
    return undefined;
  }
}

function tunnelIn(links: Links, tunnel: string): SeenOfPeer['tunnel'] {
  if (links === undefined) return undefined;
  const link = links.get(tunnel);
  if (link === undefined) return 'Missing';
  return link.isUp ? 'Up' : 'Down';
}

/** The destination of the forwarding entry; empty if there is no entry. */
function destinationIn(printed: Printed | undefined): string | undefined {
  if (printed === undefined) return undefined;
  if (printed.code !== 0)
    return /No such file or directory|entry not found/i.test(printed.stderr) ? '' : undefined;
  return /"dst":"([^"]+)"/.exec(printed.stdout)?.[1] ?? '';
}

function memberIn(printed: Printed | undefined): boolean | undefined {
  if (printed === undefined) return undefined;
  if (printed.code === 0) return true;
  return /is NOT in set/.test(printed.stderr + printed.stdout) ? false : undefined;
}

/** Returns this kernel's count of UDP datagrams with a wrong checksum, over IPv4 and IPv6. */
export async function wrongChecksums(): Promise<number | undefined> {
  const [snmp = '', snmp6 = ''] = await Promise.all(
    ['/proc/net/snmp', '/proc/net/snmp6'].map((file) => readFile(file, 'utf8').catch(() => undefined)),
  );
  const [names, values] = snmp.split('\n').filter((line) => line.startsWith('Udp: '));
  const at = names?.split(' ').indexOf('InCsumErrors') ?? -1;
  if (at < 0) return undefined;
  return Number(values?.split(' ')[at] ?? 0) + Number(/^Udp6InCsumErrors\s+(\d+)/m.exec(snmp6)?.[1] ?? 0);
}

import { nameOf } from '../dataplane/chains.ts';
import { resolving } from '../dataplane/resolving.ts';
import { guard } from '../dataplane/spoof.ts';
import type { Chain, Table } from '../dataplane/state.ts';
import type { Family } from '../net/address.ts';
import { programOf, type Backend } from './iptablesread.ts';
import { nftIfThere } from './nftrun.ts';
import type { Run } from './run.ts';

/**
 * What rules of ours drop: forged senders, forged packets of the tunnel, what isolation forbids, scans of unused
 * addresses, and what is for ports that Docker has not published.
 */
export const guards = ['spoofing', 'injection', 'isolation', 'scanning', 'unpublished'] as const;
export type Guard = (typeof guards)[number];
export type Drops = Record<Guard, number>;

/** A rule that drops, of `iptables -S -v`; the first number counts packets. */
const dropping = /^-A \S+ .*-c (\d+) \d+ -j DROP$/;

const isOfTunnel = /--match-set overlaynet-members-|^-A \S+ -p udp -m udp --dport \d+ -c \d+ \d+ -j DROP$/;

function guardOf(table: Table, line: string): Guard {
  if (table === 'filter') return 'unpublished';
  if (table === 'raw' && / -i \S+\+ /.test(line)) return 'spoofing';
  return table === 'raw' || isOfTunnel.test(line) ? 'injection' : 'isolation';
}

/** Adds what the rules of one chain have dropped. @param text as `iptables -S CHAIN -v` prints it */
export function addDrops(drops: Drops, table: Table, text: string): void {
  for (const line of text.split('\n')) {
    const packets = dropping.exec(line)?.[1];
    if (packets !== undefined) drops[guardOf(table, line)] += Number(packets);
  }
}

interface TableJSON {
  nftables: { rule?: { expr?: { counter?: { packets: number } | null }[] } }[];
}

/** Adds up the counters of a table. In ours only rules that drop count. @param json as `nft -j list table` prints it */
export const countedIn = (json: string): number =>
  (JSON.parse(json) as TableJSON).nftables
    .flatMap(({ rule }) => rule?.expr ?? [])
    .reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);

/** Reads the counters of our rules: one process for each chain that drops, and one for each table of nftables. */
export async function readDrops(
  run: Run,
  backend: Backend,
  chains: Readonly<Record<Family, readonly Chain[]>>,
): Promise<Drops> {
  const drops: Drops = { spoofing: 0, injection: 0, isolation: 0, scanning: 0, unpublished: 0 };
  for (const family of [4, 6] as const) {
    for (const chain of chains[family]) {
      if (!chain.rules.some((rule) => rule.endsWith('-j DROP'))) continue;
      const args = ['-w', '2', '-t', chain.table, '-v', '-S', nameOf(chain)];
      const { stdout, code } = await run(programOf(backend, family), args);
      if (code === 0) addDrops(drops, chain.table, stdout);
    }
  }
  for (const [name, table] of [
    ['spoofing', guard.name],
    ['scanning', resolving.name],
  ] as const) {
    const json = await nftIfThere(run, ['-j', 'list', 'table', ...table.split(' ')]);
    if (json !== undefined) drops[name] += countedIn(json);
  }
  return drops;
}

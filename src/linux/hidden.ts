import { chainPrefix } from '../dataplane/ownership.ts';
import type { Failure } from '../dataplane/state.ts';
import type { HiddenTable } from './iptables.ts';
import { nftFamily } from './iptablesread.ts';
import { nft } from './nftrun.ts';
import { CommandError, type Run } from './run.ts';
import { commandOf } from '../error.ts';

interface TableOutcome {
  changes: number;
  failures: Failure[];
}

/**
 * Removes our chains, and the jumps to them, from tables that iptables cannot read. nftables can do that because
 * nothing has to be compared. The rest of the table is unchanged.
 */
export async function clearHidden(run: Run, hidden: HiddenTable[]): Promise<TableOutcome> {
  const outcome: TableOutcome = { changes: 0, failures: [] };
  for (const { place, lines, failure } of await lookInto(run, hidden)) {
    if (failure !== undefined) outcome.failures.push(failure);
    if (lines.length === 0) continue;
    try {
      await nft(run, ['-f', '-'], `${lines.join('\n')}\n`);
      outcome.changes += lines.length;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      outcome.failures.push(stays(place, error));
    }
  }
  return outcome;
}

/** Names those of the tables that have chains of ours. Changes nothing. */
export async function mayClear(
  run: Run,
  hidden: HiddenTable[],
): Promise<{ names: string[]; failures: Failure[] }> {
  const looks = await lookInto(run, hidden);
  return {
    names: looks.flatMap(({ table, lines }) => (lines.length > 0 ? [`those in nftables' ${table}`] : [])),
    failures: looks.flatMap(({ failure }) => failure ?? []),
  };
}

/** Reads the tables, and plans what has to go from each. */
async function lookInto(run: Run, hidden: HiddenTable[]) {
  const looks: { table: string; place: string; lines: string[]; failure?: Failure }[] = [];
  for (const { family, table: name, why } of hidden) {
    const table = `${nftFamily(family)} ${name}`;
    const place = `table ${table} (${why})`;
    try {
      const text = await nft(run, ['-j', 'list', 'table', ...table.split(' ')]);
      looks.push({ table, place, lines: removal(table, text) });
    } catch (error) {
      if (!(error instanceof CommandError) && !(error instanceof SyntaxError)) throw error;
      looks.push({ table, place, lines: [], failure: stays(place, error) });
    }
  }
  return looks;
}

const stays = (place: string, error: Error): Failure => ({
  message: `iptables cannot read ${place}, and what overlaynet has in it stays: ${error.message}`,
  command: commandOf(error) ?? 'nft',
  leftover: true,
});

interface ObjectJSON {
  chain?: { name: string };
  rule?: { chain: string; handle: number; expr: Record<string, { target?: string } | null>[] };
}

/** Renders lines for `nft -f` that remove our chains, from `nft -j list table`. */
function removal(place: string, json: string): string[] {
  const { nftables } = JSON.parse(json) as { nftables: ObjectJSON[] };
  const ours = (name = '') => name.startsWith(chainPrefix);
  const chains = nftables.flatMap(({ chain }) => (ours(chain?.name) ? [chain?.name ?? ''] : []));
  const jumps = nftables.flatMap(({ rule }) =>
    rule !== undefined &&
    !ours(rule.chain) &&
    rule.expr.some((part) => ours(part['jump']?.target) || ours(part['goto']?.target))
      ? [`delete rule ${place} ${rule.chain} handle ${rule.handle}`]
      : [],
  );
  return [
    ...jumps,
    ...chains.map((name) => `flush chain ${place} ${name}`),
    ...chains.map((name) => `delete chain ${place} ${name}`),
  ];
}

import { chainPrefix } from '../dataplane/ownership.ts';
import type { Failure } from '../dataplane/state.ts';
import type { HiddenTable } from './iptables.ts';
import { nftFamily } from './iptablesread.ts';
import { nft } from './nftrun.ts';
import { CommandError, type Run } from './run.ts';

interface Outcome {
  changes: number;
  failures: Failure[];
}

/**
 * Removes our chains, and the jumps to them, from tables that iptables cannot read: nftables can, as long as nothing
 * has to be compared. The rest of the table stays as it is.
 */
export async function clearHidden(run: Run, hidden: HiddenTable[]): Promise<Outcome> {
  const outcome: Outcome = { changes: 0, failures: [] };
  for (const { family, table, why } of hidden) {
    const place = `${nftFamily(family)} ${table}`;
    try {
      const lines = removal(place, await nft(run, ['-j', 'list', 'table', ...place.split(' ')]));
      if (lines.length === 0) continue;
      await nft(run, ['-f', '-'], `${lines.join('\n')}\n`);
      outcome.changes += lines.length;
    } catch (error) {
      if (!(error instanceof CommandError) && !(error instanceof SyntaxError)) throw error;
      const message = `iptables cannot read table ${place} (${why}), and what overlaynet has in it stays: ${error.message}`;
      outcome.failures.push({ message, leftover: true });
    }
  }
  return outcome;
}

interface ObjectJSON {
  chain?: { name: string };
  rule?: { chain: string; handle: number; expr: Record<string, { target?: string } | null>[] };
}

/** Lines for `nft -f` that take out what is ours, from `nft -j list table`. */
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

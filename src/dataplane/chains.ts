import { chainPrefix, jumpComment } from './ownership.ts';
import type { Chain, ObservedChains, ObservedTable } from './state.ts';

/** Input for `iptables-restore --noflush`, empty where nothing differs, and how many chains and jumps it changes. */
export interface Restore {
  input: string;
  changes: number;
}

const jump = (own: string): string => `-m comment --comment ${jumpComment} -j ${own}`;

/**
 * Our own chains are written whole, a table atomically. Each is jumped to once, from the head of its built-in chain;
 * a jump that was lost, doubled or has an ACCEPT ahead of it is put there again.
 */
export function diffChains(desired: Chain[], observed: ObservedChains): Restore {
  const tables = new Set([...desired.map(({ table }) => table), ...observed.keys()]);
  let input = '';
  let changes = 0;
  for (const table of tables) {
    const lines = diffTable(
      desired.filter((chain) => chain.table === table),
      observed.get(table) ?? { own: new Map(), hooks: new Map() },
    );
    if (lines.rules.length === 0) continue;
    // a chain's declaration also empties it
    input += [
      `*${table}`,
      ...lines.chains.map((chain) => `:${chain} - [0:0]`),
      ...lines.rules,
      'COMMIT',
      '',
    ].join('\n');
    changes += lines.changes;
  }
  return { input, changes };
}

function diffTable(desired: Chain[], { own, hooks }: ObservedTable) {
  const chains: string[] = [];
  const rules: string[] = [];
  const last: string[] = [];
  let changes = 0;
  const wanted = new Set(desired.map(({ hook }) => `${chainPrefix}${hook}`));
  for (const { hook, rules: wantedRules } of desired) {
    const chain = `${chainPrefix}${hook}`;
    if (own.get(chain)?.join('\n') !== wantedRules.join('\n')) {
      chains.push(chain);
      rules.push(...wantedRules.map((rule) => `-A ${chain} ${rule}`));
      changes++;
    }
    const seen = hooks.get(hook) ?? [];
    const jumps = seen.filter((rule) => targets(rule, chain));
    if (
      jumps.length === 1 &&
      jumps[0] === jump(chain) &&
      !seen.slice(0, seen.indexOf(jump(chain))).some(accepts)
    )
      continue;
    rules.push(...jumps.map((rule) => `-D ${hook} ${rule}`), `-I ${hook} 1 ${jump(chain)}`);
    changes++;
  }
  for (const chain of own.keys()) {
    if (wanted.has(chain)) continue;
    chains.push(chain);
    last.push(`-X ${chain}`);
    changes++;
  }
  for (const [hook, seen] of hooks) {
    for (const rule of seen) {
      const target = /-[jg] (\S+)/.exec(rule)?.[1] ?? '';
      if (target.startsWith(chainPrefix) && !(wanted.has(target) && target === `${chainPrefix}${hook}`)) {
        rules.push(`-D ${hook} ${rule}`);
        changes++;
      }
    }
  }
  return { chains, rules: [...rules, ...last], changes };
}

const targets = (rule: string, chain: string): boolean => rule.endsWith(`-j ${chain}`);
const accepts = (rule: string): boolean => rule.endsWith('-j ACCEPT');

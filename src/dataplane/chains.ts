import { chainPrefix } from './ownership.ts';
import type { Chain, ObservedChains, ObservedTable, Table } from './state.ts';

/** Input for `iptables-restore --noflush`, empty where nothing differs, and how many chains and jumps it changes. */
export interface Restore {
  input: string;
  changes: number;
}

/** iptables-restore ends with the first table that fails: those come first that guard most. */
export const tables = ['mangle', 'raw', 'filter', 'nat'] as const satisfies Table[];

/** Rules of the same chain one after the other. */
export function joinChains(first: Chain[], second: Chain[]): Chain[] {
  const same = (a: Chain) => (b: Chain) => nameOf(a) === nameOf(b) && a.table === b.table;
  const joined = first.map((chain) => ({
    ...chain,
    rules: [...chain.rules, ...(second.find(same(chain))?.rules ?? [])],
  }));
  return [...joined, ...second.filter((chain) => !first.some(same(chain)))];
}

/** The chain's name tells whose it is: each packet would pay for a comment, in every hook. */
const jump = (own: string): string => `-j ${own}`;

export const nameOf = ({ hook, last }: Pick<Chain, 'hook' | 'last'>): string =>
  `${chainPrefix}${hook}${last === true ? '-LAST' : ''}`;

/** The rule of the built-in chain, as `iptables-save` spells it behind `-A CHAIN`. */
export const jumpTo = (chain: Chain): string => jump(nameOf(chain));

/**
 * Our own chains are written whole, a table atomically. Each is jumped to once from its built-in chain: from the head,
 * or from before what refuses all the rest. A jump that was lost, doubled or does not come to its turn is put there
 * again.
 * @param unread tables that could not be read: nothing is written to them, since it may be there already
 */
export function diffChains(
  desired: Chain[],
  observed: ObservedChains,
  unread: { has(table: string): boolean } = new Set(),
): Restore {
  let input = '';
  let changes = 0;
  for (const table of new Set([...tables, ...observed.keys()])) {
    if (unread.has(table)) continue;
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
  const wanted = new Map(desired.map((chain) => [nameOf(chain), chain]));
  for (const [name, chain] of wanted) {
    if (own.get(name)?.join('\n') !== chain.rules.join('\n')) {
      chains.push(name);
      rules.push(...chain.rules.map((rule) => `-A ${name} ${rule}`));
      changes++;
    }
  }
  for (const name of own.keys()) {
    if (wanted.has(name)) continue;
    chains.push(name);
    last.push(`-X ${name}`);
    changes++;
  }
  for (const hook of new Set([...hooks.keys(), ...desired.map((chain) => chain.hook)])) {
    const seen = hooks.get(hook) ?? [];
    const stale = seen.filter((rule) => isStale(rule, hook, wanted));
    rules.push(...stale.map((rule) => `-D ${hook} ${rule}`));
    changes += stale.length;
    let rest = seen.filter((rule) => !stale.includes(rule));
    for (const chain of desired.filter((candidate) => candidate.hook === hook)) {
      const placed = place(chain, rest);
      rest = placed.rest;
      rules.push(...placed.rules);
      changes += placed.rules.length > 0 ? 1 : 0;
    }
  }
  return { chains, rules: [...rules, ...last], changes };
}

/** A jump to a chain of ours that is not wanted, or not from there. */
function isStale(rule: string, hook: string, wanted: ReadonlyMap<string, Chain>): boolean {
  const target = /-[jg] (\S+)/.exec(rule)?.[1] ?? '';
  return target.startsWith(chainPrefix) && wanted.get(target)?.hook !== hook;
}

/** What puts the chain's one jump where it belongs, nothing where it is there, and the hook's rules after that. */
function place(chain: Chain, seen: string[]): { rules: string[]; rest: string[] } {
  const { hook, last = false } = chain;
  const name = nameOf(chain);
  const jumps = seen.filter((rule) => rule.endsWith(`-j ${name}`));
  const ahead = seen.slice(0, seen.indexOf(jump(name)));
  const overtakes = last ? refusesAll : chain.table === 'nat' ? translates : settles;
  if (jumps.length === 1 && jumps[0] === jump(name) && !ahead.some(overtakes)) {
    return { rules: [], rest: seen };
  }
  const rest = seen.filter((rule) => !jumps.includes(rule));
  const end = rest.findIndex(refusesAll);
  const at = !last ? 0 : end === -1 ? rest.length : end;
  rest.splice(at, 0, jump(name));
  return {
    rules: [...jumps.map((rule) => `-D ${hook} ${rule}`), `-I ${hook} ${at + 1} ${jump(name)}`],
    rest,
  };
}

/** Behind it a packet may not come to us: it is accepted, or Docker drops it as one between two of its networks. */
const settles = (rule: string): boolean =>
  rule.endsWith('-j ACCEPT') || /-j DOCKER-(FORWARD|ISOLATION\S*)$/.test(rule);

/** What goes on behind them in any case, or translates only what it has marked or what is its own. */
const harmless = /^(RETURN|LOG|NFLOG|TRACE|MARK|CONNMARK|(KUBE|CNI|DOCKER|cali)-.*|DOCKER)$/;

/** In nat: behind it a packet may not come to us, or be translated already. */
const translates = (rule: string): boolean => !harmless.test(/-[jg] (\S+)/.exec(rule)?.[1] ?? 'RETURN');

const refusesAll = (rule: string): boolean => /^-j (DROP|REJECT)\b/.test(rule);

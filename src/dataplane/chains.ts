import { chainPrefix } from './ownership.ts';
import type { Chain, ObservedChains, ObservedTable, Table } from './state.ts';

/**
 * Input for `iptables-restore --noflush`, empty if nothing differs, with the number of chains and jumps that it
 * changes.
 */
export interface Restore {
  input: string;
  changes: number;
}

/** Tables that guard most come first, because iptables-restore ends with the first table that fails. */
export const tables = ['mangle', 'raw', 'filter', 'nat'] as const satisfies Table[];

/** Joins the rules of chains with the same name. */
export function joinChains(first: Chain[], second: Chain[]): Chain[] {
  const same = (a: Chain) => (b: Chain) => nameOf(a) === nameOf(b) && a.table === b.table;
  const joined = first.map((chain) => ({
    ...chain,
    rules: [...chain.rules, ...(second.find(same(chain))?.rules ?? [])],
  }));
  return [...joined, ...second.filter((chain) => !first.some(same(chain)))];
}

/**
 * The jump to our chain. It has no comment, because every packet would pay for matching it; the chain's name marks it
 * as ours.
 */
const jump = (own: string): string => `-j ${own}`;

export const nameOf = ({ hook, last }: Pick<Chain, 'hook' | 'last'>): string =>
  `${chainPrefix}${hook}${last === true ? '-LAST' : ''}`;

/** The rule of the built-in chain, as `iptables-save` spells it behind `-A CHAIN`. */
export const jumpTo = (chain: Chain): string => jump(nameOf(chain));

/**
 * Plans the changes of iptables. Our own chains are written whole, each table atomically. Each chain has one jump
 * from its built-in chain, at the head or before the first rule that refuses all the rest. A jump that is missing,
 * doubled or unreachable is put back.
 * @param unread tables that could not be read; nothing is written to them, because our rules may be there already
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
    // declaring a chain also empties it
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

/** Whether a rule jumps to a chain of ours that is not wanted, or from the wrong place. */
function isStale(rule: string, hook: string, wanted: ReadonlyMap<string, Chain>): boolean {
  const target = /-[jg] (\S+)/.exec(rule)?.[1] ?? '';
  return target.startsWith(chainPrefix) && wanted.get(target)?.hook !== hook;
}

/**
 * Renders what puts the chain's one jump in its place, or nothing if it is there, and returns the hook's rules after
 * that.
 */
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

/**
 * Whether packets may not reach our jump behind this rule: it accepts them, or Docker drops them between two of its
 * networks.
 */
const settles = (rule: string): boolean =>
  rule.endsWith('-j ACCEPT') || /-j DOCKER-(FORWARD|ISOLATION\S*)$/.test(rule);

/**
 * Targets after which a packet goes on in any case, or which translate only what they have marked or what is theirs.
 */
const harmless = /^(RETURN|LOG|NFLOG|TRACE|MARK|CONNMARK|(KUBE|CNI|DOCKER|cali)-.*|DOCKER)$/;

/** For nat: whether a packet may not reach our jump behind this rule, or reach it translated. */
const translates = (rule: string): boolean => !harmless.test(/-[jg] (\S+)/.exec(rule)?.[1] ?? 'RETURN');

const refusesAll = (rule: string): boolean => /^-j (DROP|REJECT)\b/.test(rule);

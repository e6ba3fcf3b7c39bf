import { hash } from './hash.ts';

/** The wanted content of one of our tables in nftables. */
export interface TableSpec {
  /** `bridge overlaynet` */
  name: string;
  sets: Record<string, SetSpec>;
  chains: Record<string, ChainSpec>;
}

export interface SetSpec {
  /** The set's declaration: `type ipv4_addr;` */
  of: string;
  /** Converts a key of our records to nft's spelling. Absent if rules fill the set. */
  element?: (key: string) => string;
  /** The key of an element in `nft -j list`. */
  keyOf?: (element: unknown) => string;
}

export interface ChainSpec {
  /** Type, hook and priority as a number; absent: other chains jump to it. */
  base?: string;
  rules: string[];
}

/** The elements that a table should hold, by set. */
export interface Elements {
  of: Record<string, Set<string>>;
  /** Whether other elements may be wanted too; then unknown elements stay. */
  incomplete: boolean;
}

/** A chain as the kernel shows it. */
export interface ObservedChain {
  /** Hook and priority; empty if the chain has no hook. */
  base: string;
  /** The rules' comments; empty for a rule without one. */
  marks: string[];
}

/** The table as the kernel shows it; undefined if it does not exist. */
export type ObservedNFTable =
  { chains: Map<string, ObservedChain>; sets: Map<string, Set<string>> } | undefined;

/** A rule's comment, which identifies it, because versions of nft print the same rule differently. */
const mark = (rule: string): string => hash(rule).toString(16);

/** Input for `nft -f`, empty if nothing differs, with the number of chains, sets and elements that it changes. */
export function diffNFTable(
  { name: table, sets, chains }: TableSpec,
  elements: Elements,
  observed: ObservedNFTable,
): { input: string; changes: number } {
  const lines: string[] = [];
  let changes = 0;
  const add = (line: string) => lines.push(line);
  const stale = [...(observed?.chains.keys() ?? [])].filter((name) => chains[name] === undefined);
  const wrong = Object.entries(chains).filter(([name, chain]) => !stands(chain, observed?.chains.get(name)));
  if (observed === undefined) add(`add table ${table}`);
  // a chain's hook cannot be changed, so the chain is recreated
  for (const [name, { base = '' }] of wrong) {
    const seen = observed?.chains.get(name);
    if (seen === undefined || seen.base === base) continue;
    add(`flush chain ${table} ${name}`);
    add(`delete chain ${table} ${name}`);
  }
  for (const [name, set] of Object.entries(sets)) {
    if (observed?.sets.has(name) === true) continue;
    add(`add set ${table} ${name} { ${set.of} }`);
    changes++;
  }
  for (const [name, { base }] of wrong) add(`add chain ${table} ${name}${hook(base)}`);
  for (const name of [...wrong.map(([name]) => name), ...stale]) add(`flush chain ${table} ${name}`);
  for (const [name, { rules }] of wrong) {
    for (const rule of rules) add(`add rule ${table} ${name} ${rule} comment "${mark(rule)}"`);
  }
  for (const name of stale) add(`delete chain ${table} ${name}`);
  changes += wrong.length + stale.length;
  for (const [name, { element }] of Object.entries(sets)) {
    if (element === undefined) continue;
    const wanted = elements.of[name] ?? new Set();
    const seen = observed?.sets.get(name) ?? new Set();
    const missing = [...wanted].filter((key) => !seen.has(key));
    const stale = elements.incomplete ? [] : [...seen].filter((key) => !wanted.has(key));
    const set = `element ${table} ${name}`;
    // added before it is deleted, because deleting an element that has just gone would make everything fail
    for (const key of [...missing, ...stale]) add(`add ${set} { ${element(key)} }`);
    for (const key of stale) add(`delete ${set} { ${element(key)} }`);
    changes += missing.length + stale.length;
  }
  return { input: lines.map((line) => `${line}\n`).join(''), changes };
}

const stands = ({ base = '', rules }: ChainSpec, seen: ObservedChain | undefined): boolean =>
  seen?.base === base && seen.marks.join(' ') === rules.map(mark).join(' ');

function hook(base: string | undefined): string {
  if (base === undefined) return '';
  const [type, name, priority] = base.split(' ');
  return ` { type ${type ?? ''} hook ${name ?? ''} priority ${priority ?? ''}; policy accept; }`;
}

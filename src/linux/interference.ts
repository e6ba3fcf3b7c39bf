import { nftFamily } from './iptablesread.ts';
import { nft, nftIfThere } from './nftrun.ts';
import type { Run } from './run.ts';
import { does, type Deed, type Packet, type Rule } from './verdict.ts';

/** A packet of the data path with its description in words. */
export type Passing = Packet & { what: string };

/** A base chain of another program that refuses packets of the data path or translates their source. */
export interface Interference {
  deed: Deed;
  /** `inet firewalld` */
  table: string;
  chain: string;
  /** The packets concerned, in words. */
  what: string[];
}

interface ChainJSON {
  family: string;
  table: string;
  name: string;
  type?: string;
  hook?: string;
  policy?: string;
}

/**
 * Tables with more chains, such as kube-proxy's, have only their base chains read; other chains count as letting
 * packets through.
 */
const manyChains = 300;

/**
 * Tables of iptables. Our own rules there answer whatever they refuse or translate (src/dataplane/forward.ts,
 * filter.ts).
 */
const ofIptables = /^ip6? (filter|nat|mangle|raw|security)$/;

const isOwn = (table: string): boolean => / overlaynet\b/.test(table);

/**
 * Finds base chains of other programs, in nftables, that certainly refuse one of the packets or translate its source.
 * It runs two processes, and one more for each foreign table that filters or translates. Sets are not read.
 * @throws CommandError if nft cannot be run
 */
export async function interferences(run: Run, packets: readonly Passing[]): Promise<Interference[]> {
  const all = (await list(run, ['chains'])).flatMap(({ chain }) => (chain === undefined ? [] : [chain]));
  const bases = all.filter((chain) => isForeign(chain) && deedOf(chain) !== undefined);
  const found: Interference[] = [];
  const read = new Map<string, Map<string, Rule[]>>();
  for (const base of bases) {
    const { family, table, name, hook, policy } = base;
    const deed = deedOf(base) ?? 'refuse';
    const where = `${family} ${table}`;
    const coming = packets.filter(
      (packet) => packet.hook === hook && (family === 'inet' || family === nftFamily(packet.family)),
    );
    if (coming.length === 0) continue;
    const small =
      all.filter((chain) => chain.family === family && chain.table === table).length <= manyChains;
    const key = small ? where : `${where} ${name}`;
    const chains =
      read.get(key) ??
      rulesOf(await list(run, small ? ['table', family, table] : ['chain', family, table, name]));
    read.set(key, chains);
    const ruleset = { chains, policy: policy === 'drop' ? 'drop' : 'accept' } as const;
    const what = coming.filter((packet) => does(deed, ruleset, name, packet)).map((packet) => packet.what);
    if (what.length > 0) found.push({ deed, table: where, chain: name, what });
  }
  return found;
}

function isForeign({ family, table }: ChainJSON): boolean {
  const where = `${family} ${table}`;
  return !ofIptables.test(where) && !isOwn(where);
}

/** What a base chain of that type and hook can do that matters here. */
function deedOf({ type, hook }: ChainJSON): Deed | undefined {
  if (type === 'filter' && (hook === 'forward' || hook === 'input')) return 'refuse';
  return type === 'nat' && hook === 'postrouting' ? 'translate' : undefined;
}

function rulesOf(objects: ObjectJSON[]): Map<string, Rule[]> {
  const chains = new Map<string, Rule[]>();
  for (const { chain, rule } of objects) {
    if (chain !== undefined) chains.set(chain.name, []);
    if (rule !== undefined) chains.get(rule.chain)?.push(rule.expr ?? []);
  }
  return chains;
}

interface ObjectJSON {
  chain?: ChainJSON;
  rule?: { chain: string; expr?: Rule };
}

async function list(run: Run, what: string[]): Promise<ObjectJSON[]> {
  // terse, without the elements of named sets, of which there may be tens of thousands
  const args = ['-t', '-j', 'list', ...what];
  // a table may go after it was listed; the list of all chains is always there
  const text = what.length > 1 ? await nftIfThere(run, args) : await nft(run, args);
  return text === undefined ? [] : (JSON.parse(text) as { nftables: ObjectJSON[] }).nftables;
}

import { nameOf, tables } from '../dataplane/chains.ts';
import { natHook, type Table } from '../dataplane/state.ts';
import type { Family } from '../net/address.ts';
import { asSaved, parseChains, type SavedRules } from './iptablessave.ts';
import { nftIfThere } from './nftrun.ts';
import { CommandError, whyFailed, type Run, type RunResult } from './run.ts';

/** The backend of iptables that holds the rules. */
export type Backend = 'nft' | 'legacy';

/** What a family has of ours in one of the backends. */
export interface Saved {
  backend: Backend;
  family: Family;
  rules: SavedRules;
  /** Why the backend is not installed; a backend that is not installed never wrote anything. */
  absent?: string;
}

/** The family's name in nftables. */
export const nftFamily = (family: Family): string => (family === 4 ? 'ip' : 'ip6');

/** The program that lists; those that save and restore have the suffixes `-save` and `-restore`. */
export const programOf = (backend: Backend, family: Family): string =>
  `${family === 4 ? 'iptables' : 'ip6tables'}-${backend}`;

/**
 * Reads both families of both backends. Rules in the backend that the node does not use are left-overs. Tables are read one
 * at a time, so a table that cannot be read is named and does not hide the others.
 */
export async function observeChains(run: Run): Promise<Saved[]> {
  const families: Family[] = [4, 6];
  const nft = families.map((family) => readTables('nft', family, (table) => listTable(run, family, table)));
  const legacy = families.map(async (family) => {
    const present = await legacyTables(run, family);
    return readTables('legacy', family, (table) => saveTable(run, family, table, present));
  });
  return Promise.all([...nft, ...legacy]);
}

/** @param read prints a table as `iptables-save` does, and nothing for a table that does not exist */
async function readTables(
  backend: Backend,
  family: Family,
  read: (table: Table) => Promise<string>,
): Promise<Saved> {
  const rules: SavedRules = { chains: new Map(), unread: new Map(), canary: false };
  for (const table of tables) {
    try {
      const { chains, unread, canary } = parseChains(await read(table));
      for (const [name, found] of chains) rules.chains.set(name, found);
      for (const [name, why] of unread) rules.unread.set(name === '' ? table : name, why);
      rules.canary ||= canary;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      if (error.message.includes(': not found')) return { backend, family, rules, absent: error.message };
      rules.unread.set(table, error.message.replace(/^ip6?tables-\S+: /, ''));
    }
  }
  return { backend, family, rules };
}

/**
 * Lists a table. Of nat it lists only our chain and the built-in chain that jumps to it: that takes 0.01 s, and the whole
 * table takes 1 s with 30,000 rules of kube-proxy. `iptables-nft-save -t` asks the kernel for every table, whichever it prints.
 */
async function listTable(run: Run, family: Family, table: Table): Promise<string> {
  const list = (...chain: string[]) => run(programOf('nft', family), ['-t', table, '-S', ...chain]);
  if (table !== 'nat') return asSaved(table, outputOf(await list()));
  const hook = outputOf(await list(natHook));
  const own = nameOf({ hook: natHook });
  const rules = await list(own);
  if (rules.code === 0) return asSaved(table, hook + rules.stdout);
  // iptables fails in the same words for a missing chain and for a chain with rules that it did not make
  const chain = await nftIfThere(run, ['-t', 'list', 'chain', nftFamily(family), table, own]);
  return asSaved(table, chain === undefined ? hook : `${hook}-N ${own}\n`);
}

/** Names of the tables that exist. A string says why they are unknown. */
async function legacyTables(run: Run, family: Family): Promise<ReadonlySet<string> | string> {
  const path = `/proc/net/${family === 4 ? 'ip' : 'ip6'}_tables_names`;
  try {
    const { stdout, stderr, code } = await run('cat', [path], { env: { LC_ALL: 'C' } });
    // without the module there is no such file
    if (code !== 0 && !stderr.includes('No such file or directory')) return stderr.trim();
    return new Set(stdout.split('\n'));
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return error.message;
  }
}

/**
 * Saves a table that exists. Asked for another one, `iptables-legacy-save` would make it, and every packet would pay for it.
 * Unlike `iptables-legacy -S`, it does not take the lock, which kube-proxy may hold for seconds.
 */
async function saveTable(
  run: Run,
  family: Family,
  table: Table,
  present: ReadonlySet<string> | string,
): Promise<string> {
  if (typeof present === 'string') throw new CommandError(present);
  if (!present.has(table)) return '';
  const text = outputOf(await run(`${programOf('legacy', family)}-save`, ['-t', table]));
  if (!/^:[A-Z]+ [A-Z]/m.test(text)) throw new CommandError('it lists none of its chains');
  return text;
}

/** The program's output. @throws CommandError if it failed, with its message but without its name */
function outputOf({ stdout, stderr, code }: RunResult): string {
  if (code === 0) return stdout;
  throw new CommandError(whyFailed({ stderr, code }).replace(/^ip6?tables\S* v\S+ \(\S+\): /, ''));
}

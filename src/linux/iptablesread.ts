import { nameOf, tables } from '../dataplane/chains.ts';
import { natHook, type Table } from '../dataplane/state.ts';
import type { Family } from '../net/address.ts';
import { asSaved, parseChains, type SavedRules } from './iptablessave.ts';
import { nftIfThere } from './nftrun.ts';
import { CommandError, whyFailed, type Run, type RunResult } from './run.ts';

/** Which of the two that iptables has keeps the rules. */
export type Backend = 'nft' | 'legacy';

/** What a family has of ours in one of the backends. */
export interface Saved {
  backend: Backend;
  family: Family;
  rules: SavedRules;
  /** The backend is not installed, in words: then it never wrote anything either. */
  absent?: string;
}

/** The name that nftables has for the family. */
export const nftFamily = (family: Family): string => (family === 4 ? 'ip' : 'ip6');

/** It lists; the programs that save and restore are called `…-save`, `…-restore`. */
export const programOf = (backend: Backend, family: Family): string =>
  `${family === 4 ? 'iptables' : 'ip6tables'}-${backend}`;

/**
 * Reads both families of both backends: rules in the one that is not the node's are left-overs. One table at a time, so that
 * one that cannot be read is said by its name, and hides no other one.
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

/** @param read prints a table as `iptables-save` does, nothing where there is none */
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
 * Of nat ours and the chain that it is jumped to from alone: a hundredth of a second, where all of it beside 30,000 rules
 * of kube-proxy takes a whole one. `iptables-nft-save -t` asks the kernel for every table, whichever it is to print.
 */
async function listTable(run: Run, family: Family, table: Table): Promise<string> {
  const list = (...chain: string[]) => run(programOf('nft', family), ['-t', table, '-S', ...chain]);
  if (table !== 'nat') return asSaved(table, said(await list()));
  const hook = said(await list(natHook));
  const own = nameOf({ hook: natHook });
  const rules = await list(own);
  if (rules.code === 0) return asSaved(table, hook + rules.stdout);
  // it says the same of a chain that is not there as of one with rules that iptables did not make
  const chain = await nftIfThere(run, ['-t', 'list', 'chain', nftFamily(family), table, own]);
  return asSaved(table, chain === undefined ? hook : `${hook}-N ${own}\n`);
}

/** Names of those that are there; text: why it is not known. */
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
 * Asked for a table that is not there, `iptables-legacy-save` makes it, and every packet pays for that. Unlike
 * `iptables-legacy -S` it does not take the lock, which kube-proxy may hold for seconds.
 */
async function saveTable(
  run: Run,
  family: Family,
  table: Table,
  present: ReadonlySet<string> | string,
): Promise<string> {
  if (typeof present === 'string') throw new CommandError(present);
  if (!present.has(table)) return '';
  const text = said(await run(`${programOf('legacy', family)}-save`, ['-t', table]));
  if (!/^:[A-Z]+ [A-Z]/m.test(text)) throw new CommandError('it lists none of its chains');
  return text;
}

/** @throws CommandError where the program failed, without what it calls itself */
function said({ stdout, stderr, code }: RunResult): string {
  if (code === 0) return stdout;
  throw new CommandError(whyFailed({ stderr, code }).replace(/^ip6?tables\S* v\S+ \(\S+\): /, ''));
}

import { diffNFTable } from '../dataplane/nftable.ts';
import type { Elements, ObservedChain, ObservedNFTable, TableSpec } from '../dataplane/nftable.ts';
import type { Failure } from '../dataplane/state.ts';
import { CommandError, type Run } from './run.ts';

/** What it says on failing is compared. */
const env = { LC_ALL: 'C' };

interface Outcome {
  changes: number;
  failures: Failure[];
}

/**
 * Brings a table to what it should be: one process to look, one to change what differs, atomically.
 * @param wanted called once it is known what is there: an element that has no record by then is of no container
 */
export const convergeTable = (run: Run, spec: TableSpec, wanted: () => Elements): Promise<Outcome> =>
  attempt(async () => {
    const observed = await observe(run, spec);
    const { input, changes } = diffNFTable(spec, wanted(), observed);
    if (changes > 0) await nft(run, ['-f', '-'], input);
    return changes;
  });

/** Removes the table. */
export const removeTable = (run: Run, spec: TableSpec): Promise<Outcome> =>
  attempt(async () => {
    if ((await observe(run, spec)) === undefined) return 0;
    await nft(run, ['delete', 'table', ...spec.name.split(' ')]);
    return 1;
  });

async function attempt(work: () => Promise<number>): Promise<Outcome> {
  try {
    return { changes: await work(), failures: [] };
  } catch (error) {
    if (!(error instanceof CommandError) && !(error instanceof SyntaxError)) throw error;
    const message = error.name === 'CommandError' ? error.message : `nft: ${error.message}`;
    return { changes: 0, failures: [{ message }] };
  }
}

async function nft(run: Run, args: string[], input = ''): Promise<void> {
  const { stderr, code } = await run('nft', args, { input, env });
  if (code !== 0)
    throw new CommandError(`nft: ${stderr.trim().split('\n', 3).join(' ')} (nft ${args.join(' ')})`);
}

async function observe(run: Run, spec: TableSpec): Promise<ObservedNFTable> {
  const args = ['-j', 'list', 'table', ...spec.name.split(' ')];
  const { stdout, stderr, code } = await run('nft', args, { env });
  if (code === 0) return parseTable(spec, stdout);
  if (stderr.includes('No such file or directory')) return undefined;
  throw new CommandError(`nft: ${stderr.trim() || `exit status ${code}`} (nft ${args.join(' ')})`);
}

interface ObjectJSON {
  chain?: { name: string; type?: string; hook?: string; prio?: number };
  rule?: { chain: string; comment?: string };
  set?: { name: string; elem?: unknown[] };
}

/** From `nft -j list table`; elements of those sets alone that are not filled by rules. */
export function parseTable({ sets: specs }: TableSpec, json: string): NonNullable<ObservedNFTable> {
  const chains = new Map<string, ObservedChain>();
  const sets = new Map<string, Set<string>>();
  for (const { chain, rule, set } of (JSON.parse(json) as { nftables: ObjectJSON[] }).nftables) {
    if (chain !== undefined) {
      const { name, type, hook, prio } = chain;
      chains.set(name, { base: hook === undefined ? '' : `${type ?? ''} ${hook} ${prio ?? 0}`, marks: [] });
    }
    if (rule !== undefined) chains.get(rule.chain)?.marks.push(rule.comment ?? '');
    const keyOf = specs[set?.name ?? '']?.keyOf;
    if (set !== undefined)
      sets.set(set.name, new Set(keyOf === undefined ? [] : (set.elem ?? []).map(keyOf)));
  }
  return { chains, sets };
}

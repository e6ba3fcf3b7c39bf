import { diffNFTable } from '../dataplane/nftable.ts';
import type { Elements, ObservedChain, ObservedNFTable, TableSpec } from '../dataplane/nftable.ts';
import type { Failure } from '../dataplane/state.ts';
import { nft, nftIfThere } from './nftrun.ts';
import { CommandError, type Run } from './run.ts';

interface Outcome {
  changes: number;
  failures: Failure[];
}

/** A table and, by the time that it is asked, what it should hold. */
interface Wanted {
  spec: TableSpec;
  elements: () => Elements;
}

/**
 * Brings tables to what they should be: a process each to look, one each to change what differs, atomically. Elements are
 * asked for once it is known what is there in all of them: one that has no record by then is of no container.
 */
export async function convergeTables(run: Run, tables: Wanted[]): Promise<Outcome> {
  const looks = await Promise.all(tables.map(({ spec }) => attempt(() => observe(run, spec))));
  const outcome: Outcome = { changes: 0, failures: [] };
  for (const [index, { spec, elements }] of tables.entries()) {
    const look = looks[index];
    const done =
      look === undefined || 'failures' in look
        ? look
        : await attempt(async () => {
            const { input, changes } = diffNFTable(spec, elements(), look.value);
            if (changes > 0) await nft(run, ['-f', '-'], input);
            return changes;
          });
    if (done !== undefined && 'failures' in done) outcome.failures.push(...done.failures);
    else outcome.changes += done?.value ?? 0;
  }
  return outcome;
}

/** Removes the tables. */
export async function removeTables(run: Run, specs: TableSpec[]): Promise<Outcome> {
  const outcome: Outcome = { changes: 0, failures: [] };
  for (const spec of specs) {
    const done = await attempt(async () => {
      if ((await observe(run, spec)) === undefined) return 0;
      await nft(run, ['delete', 'table', ...spec.name.split(' ')]);
      return 1;
    });
    if ('failures' in done) outcome.failures.push(...done.failures);
    else outcome.changes += done.value;
  }
  return outcome;
}

async function attempt<T>(work: () => Promise<T>): Promise<{ value: T } | Pick<Outcome, 'failures'>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!(error instanceof CommandError) && !(error instanceof SyntaxError)) throw error;
    const message = error.name === 'CommandError' ? error.message : `nft: ${error.message}`;
    return { failures: [{ message }] };
  }
}

async function observe(run: Run, spec: TableSpec): Promise<ObservedNFTable> {
  const text = await nftIfThere(run, ['-j', 'list', 'table', ...spec.name.split(' ')]);
  return text === undefined ? undefined : parseTable(spec, text);
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

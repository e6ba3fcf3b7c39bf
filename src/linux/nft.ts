import { diffNFTable } from '../dataplane/nftable.ts';
import type { Elements, ObservedChain, ObservedNFTable, TableSpec } from '../dataplane/nftable.ts';
import type { Failure } from '../dataplane/state.ts';
import { nft, nftIfThere } from './nftrun.ts';
import { CommandError, type Run } from './run.ts';
import { commandOf } from '../error.ts';

interface TableOutcome {
  changes: number;
  failures: Failure[];
}

/** A table, and a function that computes its wanted elements. */
export interface WantedTable {
  spec: TableSpec;
  elements: () => Elements;
}

/** The input of `nft -f` for one table; empty if nothing differs or it could not be read. */
export interface TablePlan {
  input: string;
  changes: number;
  failures: Failure[];
}

/**
 * Compares tables with what is wanted. One process reads each table. The wanted elements are computed after all tables
 * were read, so an element without a record by then belongs to no container.
 */
export async function planTables(run: Run, tables: WantedTable[]): Promise<TablePlan[]> {
  const looks = await Promise.all(tables.map(({ spec }) => attempt(() => observe(run, spec))));
  return tables.map(({ spec, elements }, index) => {
    const look = looks[index];
    if (look === undefined || 'failures' in look)
      return { input: '', changes: 0, failures: look?.failures ?? [] };
    return { ...diffNFTable(spec, elements(), look.value), failures: [] };
  });
}

/** Makes tables match what is wanted. One process changes each that differs, atomically. */
export async function convergeTables(run: Run, tables: WantedTable[]): Promise<TableOutcome> {
  const outcome: TableOutcome = { changes: 0, failures: [] };
  for (const { input, changes, failures } of await planTables(run, tables)) {
    outcome.failures.push(...failures);
    if (changes === 0) continue;
    const done = await attempt(() => nft(run, ['-f', '-'], input));
    if ('failures' in done) outcome.failures.push(...done.failures);
    else outcome.changes += changes;
  }
  return outcome;
}

/** Names those of the tables that are there. */
export async function tablesThere(
  run: Run,
  specs: readonly TableSpec[],
): Promise<{ names: string[]; failures: Failure[] }> {
  const looks = await Promise.all(specs.map(({ name }) => attempt(() => isThere(run, name))));
  return {
    names: specs.flatMap(({ name }, index) => {
      const look = looks[index];
      return look !== undefined && 'value' in look && look.value ? [name] : [];
    }),
    failures: looks.flatMap((look) => ('failures' in look ? look.failures : [])),
  };
}

const isThere = async (run: Run, name: string): Promise<boolean> =>
  (await nftIfThere(run, ['-t', 'list', 'table', ...name.split(' ')])) !== undefined;

/** Removes the tables. */
export async function removeTables(run: Run, specs: readonly TableSpec[]): Promise<TableOutcome> {
  const outcome: TableOutcome = { changes: 0, failures: [] };
  for (const spec of specs) {
    const done = await attempt(async () => {
      if (!(await isThere(run, spec.name))) return 0;
      await nft(run, ['delete', 'table', ...spec.name.split(' ')]);
      return 1;
    });
    if ('failures' in done) outcome.failures.push(...done.failures);
    else outcome.changes += done.value;
  }
  return outcome;
}

async function attempt<T>(work: () => Promise<T>): Promise<{ value: T } | Pick<TableOutcome, 'failures'>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!(error instanceof CommandError) && !(error instanceof SyntaxError)) throw error;
    const message = error.name === 'CommandError' ? error.message : `nft: ${error.message}`;
    return { failures: [{ message, command: commandOf(error) ?? 'nft' }] };
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

/** Parses `nft -j list table`; elements only of those sets that rules do not fill. */
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

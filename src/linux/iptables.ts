import { diffChains } from '../dataplane/chains.ts';
import type { Chain, Failure } from '../dataplane/state.ts';
import type { Family } from '../net/address.ts';
import { nftFamily, programOf, type Backend, type Saved } from './iptablesread.ts';
import { CommandError, whyFailed, type Run } from './run.ts';

/**
 * nft unless kubelet's chains in the mangle table say legacy: the rule of Kubernetes' iptables-wrappers. While nft's
 * table cannot be read, it is not known whether they are there: then it is the backend that has our rules.
 */
function backendOf(saves: Saved[]): Backend {
  const some = (backend: Backend, check: (save: Saved) => boolean) =>
    saves.some((candidate) => candidate.backend === backend && check(candidate));
  if (some('nft', ({ rules }) => rules.canary)) return 'nft';
  if (!some('legacy', ({ rules }) => rules.canary)) return 'nft';
  const hidden = some('nft', ({ rules, absent }) => absent === undefined && rules.unread.has('mangle'));
  if (!hidden) return 'legacy';
  return some('nft', hasOurs) || !some('legacy', hasOurs) ? 'nft' : 'legacy';
}

const hasOurs = ({ rules }: Saved): boolean => [...rules.chains.values()].some(({ own }) => own.size > 0);

/** One program's input. */
interface Restore {
  program: string;
  input: string;
  /** It takes away only: what is wanted is elsewhere. */
  removal: boolean;
}

/** A table in which nothing is wanted, and of which it is not known what it has of ours. */
export interface HiddenTable {
  family: Family;
  table: string;
  /** Why, in words. */
  why: string;
}

export interface ChainPlan {
  /** Of the node. */
  backend: Backend;
  restores: Restore[];
  changes: number;
  failures: Failure[];
  /** Tables of the nft backend that `nft` has to look into. */
  hidden: HiddenTable[];
}

/**
 * What is to be written so that our chains are as wanted in the node's backend, and gone from the other one. What was
 * not read is not written to: a failure says so, a table at a time, where something is wanted there.
 */
export function planChains(desired: Record<Family, Chain[]>, saves: Saved[]): ChainPlan {
  const current = backendOf(saves);
  const plan: ChainPlan = { backend: current, restores: [], changes: 0, failures: [], hidden: [] };
  const cleaning = desired[4].length + desired[6].length === 0;
  // the new backend's rules stand before the old one's go
  const inOrder = saves.toSorted((a, b) => Number(b.backend === current) - Number(a.backend === current));
  for (const { backend, family, rules, absent } of inOrder) {
    const wanted = backend === current ? desired[family] : [];
    if (absent !== undefined) {
      if (wanted.length > 0) plan.failures.push(missed(absent, false));
      continue;
    }
    const name = programOf(backend, family);
    for (const [table, why] of rules.unread) {
      if (wanted.some((chain) => chain.table === table)) {
        plan.failures.push(missed(unreadText(name, { family, table, why }), false));
      } else if (isForeign(why)) plan.hidden.push({ family, table, why });
      else if (cleaning)
        plan.failures.push(missed(`${name}: table ${table}: ${why}; what overlaynet has in it stays`, true));
    }
    const restore = diffChains(wanted, rules.chains, rules.unread);
    if (restore.changes === 0) continue;
    plan.changes += restore.changes;
    plan.restores.push({
      program: `${name}-restore`,
      input: restore.input,
      removal: wanted.length === 0,
    });
  }
  return plan;
}

/** It holds rules that iptables did not make: `nft` can read it. */
const isForeign = (why: string): boolean => why.includes('incompatible');

function unreadText(name: string, { family, table, why }: HiddenTable): string {
  const remedy = isForeign(why)
    ? `; \`nft list table ${nftFamily(family)} ${table}\` shows it: take out what iptables did not make, into a table of its own`
    : '';
  return `${name}: table ${table}: ${why}; overlaynet writes nothing to a table that it cannot read${remedy}`;
}

export async function applyChains(run: Run, restores: Restore[]): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const { program: name, input, removal } of restores) {
    try {
      const { stderr, code } = await run(name, ['-w', '5', '--noflush'], { input });
      if (code !== 0)
        failures.push(missed(`${name}: ${whyFailed({ stderr: words(stderr), code })}`, removal));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      failures.push(missed(error.message, removal));
    }
  }
  return failures;
}

/** What was not done to rules: it took away only, or something is not in place. */
const missed = (message: string, removal: boolean): Failure => ({
  message,
  ...(removal ? { leftover: true } : { rules: true }),
});

const words = (stderr: string): string =>
  stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('Try '))
    .join('; ');

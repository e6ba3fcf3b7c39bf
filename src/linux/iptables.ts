import { diffChains } from '../dataplane/chains.ts';
import type { Chain, Failure } from '../dataplane/state.ts';
import type { Family } from '../net/address.ts';
import { parseChains, type SavedRules } from './iptablessave.ts';
import { CommandError, whyFailed, type Run } from './run.ts';

/** Which of the two that iptables has keeps the rules. */
export type Backend = 'nft' | 'legacy';

/** What one of the four `iptables-save` printed of ours. */
interface Save {
  backend: Backend;
  family: Family;
  /** Absent where it failed. */
  rules?: SavedRules;
  failure?: string;
  /** It is not installed: then it never wrote anything either. */
  absent?: boolean;
}

const program = (backend: Backend, family: Family, verb: 'save' | 'restore'): string =>
  `${family === 4 ? 'iptables' : 'ip6tables'}-${backend}-${verb}`;

/** Reads both families of both backends: rules in the one that is not the node's are left-overs. */
export async function observeChains(run: Run): Promise<Save[]> {
  const backends: Backend[] = ['nft', 'legacy'];
  const families: Family[] = [4, 6];
  return Promise.all(backends.flatMap((backend) => families.map((family) => save(run, backend, family))));
}

async function save(run: Run, backend: Backend, family: Family): Promise<Save> {
  const name = program(backend, family, 'save');
  try {
    const { stdout, stderr, code } = await run(name, []);
    if (code !== 0) {
      return { backend, family, failure: `${name}: ${whyFailed({ stderr, code })}` };
    }
    const rules = parseChains(stdout);
    for (const [table, { hooks }] of rules.chains) {
      // in nft they may be missing as long as nobody used them
      if (backend === 'legacy' && hooks.size === 0) rules.unread.set(table, 'it lists none of its chains');
    }
    return { backend, family, rules };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { backend, family, failure: error.message, absent: error.message.includes(': not found') };
  }
}

/**
 * nft unless kubelet's chains in the mangle table say legacy: the rule of Kubernetes' iptables-wrappers. While nft's
 * table cannot be read, it is not known whether they are there: then it is the backend that has our rules.
 */
function backendOf(saves: Save[]): Backend {
  const some = (backend: Backend, check: (save: Save) => boolean) =>
    saves.some((candidate) => candidate.backend === backend && check(candidate));
  if (some('nft', ({ rules }) => rules?.canary === true)) return 'nft';
  if (!some('legacy', ({ rules }) => rules?.canary === true)) return 'nft';
  const hidden = some('nft', ({ rules, absent }) => absent !== true && rules?.unread.has('mangle') !== false);
  if (!hidden) return 'legacy';
  return some('nft', hasOurs) || !some('legacy', hasOurs) ? 'nft' : 'legacy';
}

const hasOurs = ({ rules }: Save): boolean =>
  [...(rules?.chains.values() ?? [])].some(({ own }) => own.size > 0);

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
export function planChains(desired: Record<Family, Chain[]>, saves: Save[]): ChainPlan {
  const current = backendOf(saves);
  const plan: ChainPlan = { backend: current, restores: [], changes: 0, failures: [], hidden: [] };
  const cleaning = desired[4].length + desired[6].length === 0;
  // the new backend's rules stand before the old one's go
  const inOrder = saves.toSorted((a, b) => Number(b.backend === current) - Number(a.backend === current));
  for (const { backend, family, rules, failure, absent } of inOrder) {
    const wanted = backend === current ? desired[family] : [];
    if (rules === undefined) {
      const matters = wanted.length > 0 || (cleaning && absent !== true);
      if (matters && failure !== undefined) plan.failures.push(missed(failure, wanted.length === 0));
      continue;
    }
    const name = program(backend, family, 'save');
    for (const [table, why] of rules.unread) {
      if (wanted.some((chain) => chain.table === table)) {
        plan.failures.push(missed(unreadText(name, backend, { family, table, why }), false));
      } else if (backend === 'nft') plan.hidden.push({ family, table, why });
      else if (cleaning)
        plan.failures.push(missed(`${name}: table ${table}: ${why}; what overlaynet has in it stays`, true));
    }
    const restore = diffChains(wanted, rules.chains, rules.unread);
    if (restore.changes === 0) continue;
    plan.changes += restore.changes;
    plan.restores.push({
      program: program(backend, family, 'restore'),
      input: restore.input,
      removal: wanted.length === 0,
    });
  }
  return plan;
}

/** The name that nftables has for the family. */
export const nftFamily = (family: Family): string => (family === 4 ? 'ip' : 'ip6');

function unreadText(name: string, backend: Backend, { family, table, why }: HiddenTable): string {
  const remedy =
    backend === 'nft'
      ? `; \`nft list table ${nftFamily(family)} ${table}\` shows it: take out what iptables did not make, into a table of its own`
      : '';
  return `${name}: table ${table}: ${why}; overlaynet writes nothing to a table that it cannot read${remedy}`;
}

export async function applyChains(run: Run, restores: Restore[]): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const { program: name, input, removal } of restores) {
    try {
      const { stderr, code } = await run(name, ['-w', '5', '--noflush'], { input });
      if (code !== 0) failures.push(missed(`${name}: ${words(stderr) || `exit status ${code}`}`, removal));
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

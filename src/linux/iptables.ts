import { diffChains } from '../dataplane/chains.ts';
import type { Chain, Failure } from '../dataplane/state.ts';
import type { Family } from '../net/address.ts';
import { parseChains, type SavedRules } from './iptablessave.ts';
import { CommandError, type Run } from './run.ts';

/** The backend of iptables that holds the rules. */
export type Backend = 'nft' | 'legacy';

/** Our rules as one of the four `iptables-save` programs printed them. */
interface Save {
  backend: Backend;
  family: Family;
  /** Absent when the program failed. */
  rules?: SavedRules;
  failure?: string;
  /** The program is not installed, so it never wrote anything. */
  absent?: boolean;
}

const program = (backend: Backend, family: Family, verb: 'save' | 'restore'): string =>
  `${family === 4 ? 'iptables' : 'ip6tables'}-${backend}-${verb}`;

/** Reads both families of both backends. Rules in the backend that the node does not use are left-overs. */
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
      return { backend, family, failure: `${name}: ${stderr.trim() || `exit status ${code}`}` };
    }
    const rules = parseChains(stdout);
    for (const [table, { hooks }] of rules.chains) {
      // in nft, built-in chains may be missing until they are first used
      if (backend === 'legacy' && hooks.size === 0) rules.unread.set(table, 'it lists none of its chains');
    }
    return { backend, family, rules };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { backend, family, failure: error.message, absent: error.message.includes(': not found') };
  }
}

/**
 * Chooses the node's backend as Kubernetes' iptables-wrappers do: nft, unless kubelet's chains are in the mangle
 * table of legacy. While nft's mangle table cannot be read, its kubelet chains are unknown; then the backend that
 * holds our rules counts.
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

/** The input of one program. */
interface Restore {
  program: string;
  input: string;
  /** It only removes rules; the wanted ones are elsewhere. */
  removal: boolean;
}

/** A table where no rules are wanted, and whose content of ours is unknown. */
export interface HiddenTable {
  family: Family;
  table: string;
  /** The reason, in words. */
  why: string;
}

export interface ChainPlan {
  /** The node's backend. */
  backend: Backend;
  restores: Restore[];
  changes: number;
  failures: Failure[];
  /** Tables of the nft backend that `nft` has to look into. */
  hidden: HiddenTable[];
}

/**
 * Plans the writes that make our chains correct in the node's backend and remove them from the other. A table that
 * was not read is not written to; each such table where rules are wanted gives a failure.
 */
export function planChains(desired: Record<Family, Chain[]>, saves: Save[]): ChainPlan {
  const current = backendOf(saves);
  const plan: ChainPlan = { backend: current, restores: [], changes: 0, failures: [], hidden: [] };
  const cleaning = desired[4].length + desired[6].length === 0;
  // the new backend gets its rules before the old one loses them
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

/** The family's name in nftables. */
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

/** Describes rules that could not be written: removals that failed, or rules that are not in place. */
const missed = (message: string, removal: boolean): Failure => ({
  message,
  ...(removal ? { leftover: true } : { rules: true }),
});

const words = (stderr: string): string =>
  stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('Try '))
    .join('; ');

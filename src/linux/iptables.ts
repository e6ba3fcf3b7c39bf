import { diffChains } from '../dataplane/chains.ts';
import type { Chain, Failure } from '../dataplane/state.ts';
import type { Family } from '../net/address.ts';
import { nftFamily, programOf, type Backend, type Saved } from './iptablesread.ts';
import { CommandError, whyFailed, type Run } from './run.ts';

/**
 * Chooses the node's backend as Kubernetes' iptables-wrappers do: nft, unless kubelet's chains are in the mangle
 * table of legacy. While nft's mangle table cannot be read, its kubelet chains are unknown; then the backend that
 * holds our rules counts.
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

/** The input of one program. */
interface Restore {
  program: string;
  input: string;
  /** How many changes the input makes, all or none. */
  changes: number;
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
export function planChains(desired: Record<Family, Chain[]>, saves: Saved[]): ChainPlan {
  const current = backendOf(saves);
  const plan: ChainPlan = { backend: current, restores: [], changes: 0, failures: [], hidden: [] };
  const cleaning = desired[4].length + desired[6].length === 0;
  // the new backend gets its rules before the old one loses them
  const inOrder = saves.toSorted((a, b) => Number(b.backend === current) - Number(a.backend === current));
  for (const { backend, family, rules, absent } of inOrder) {
    const wanted = backend === current ? desired[family] : [];
    if (absent !== undefined) {
      if (wanted.length > 0) plan.failures.push(missed(absent, programOf(backend, family), false));
      continue;
    }
    const name = programOf(backend, family);
    for (const [table, why] of rules.unread) {
      if (wanted.some((chain) => chain.table === table)) {
        plan.failures.push(missed(unreadText(name, { family, table, why }), readOf(name, table), false));
      } else if (isForeign(why)) plan.hidden.push({ family, table, why });
      else if (cleaning)
        plan.failures.push(
          missed(
            `${name}: table ${table}: ${why}; what overlaynet has in it stays`,
            readOf(name, table),
            true,
          ),
        );
    }
    const restore = diffChains(wanted, rules.chains, rules.unread);
    if (restore.changes === 0) continue;
    plan.changes += restore.changes;
    plan.restores.push({
      program: `${name}-restore`,
      input: restore.input,
      changes: restore.changes,
      removal: wanted.length === 0,
    });
  }
  return plan;
}

/** What shows that a table cannot be read. */
const readOf = (program: string, table: string): string => `${program} -t ${table} -S`;

/** It holds rules that iptables did not make: `nft` can read it. */
const isForeign = (why: string): boolean => why.includes('incompatible');

function unreadText(name: string, { family, table, why }: HiddenTable): string {
  const remedy = isForeign(why)
    ? `; \`nft list table ${nftFamily(family)} ${table}\` shows it: take out what iptables did not make, into a table of its own`
    : '';
  return `${name}: table ${table}: ${why}; overlaynet writes nothing to a table that it cannot read${remedy}`;
}

/** @param onUndone called with how many changes a program did not make */
export async function applyChains(
  run: Run,
  restores: Restore[],
  onUndone: (changes: number) => void,
): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const { program: name, input, changes, removal } of restores) {
    const args = ['-w', '5', '--noflush'];
    const command = [name, ...args].join(' ');
    try {
      const { stderr, code } = await run(name, args, { input });
      if (code === 0) continue;
      failures.push(missed(`${name}: ${whyFailed({ stderr: words(stderr), code })}`, command, removal));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      failures.push(missed(error.message, command, removal));
    }
    onUndone(changes);
  }
  return failures;
}

/** Describes rules that could not be written: removals that failed, or rules that are not in place. */
const missed = (message: string, command: string, removal: boolean): Failure => ({
  message,
  command,
  ...(removal ? { leftover: true } : { rules: true }),
});

const words = (stderr: string): string =>
  stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('Try '))
    .join('; ');

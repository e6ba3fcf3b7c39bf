import type { Finding } from '../api/conditions.ts';
import type { AgentAllocation } from '../api/types.ts';
import { brief, type Applied } from './status.ts';

/** What an agent's conditions follow from. */
export interface Health {
  allocation: AgentAllocation | undefined;
  /** Why the last attempt to register failed. */
  registrationFailure: string | undefined;
  /** Kinds that could not be listed yet, with the API server's words. */
  unlisted: string[];
  applied: Applied | undefined;
  /** What the caches lack, so that the data path stays as it was. */
  missing: string | undefined;
  checkpoint: { problem: string | undefined; movedAside: string | undefined };
}

/** The conditions `Registered`, `Synced`, `DataPathReady` and `Checkpoint`. */
export const findingsOf = (health: Health): Finding[] => [
  { type: 'Registered', ...registered(health) },
  { type: 'Synced', ...synced(health) },
  { type: 'DataPathReady', ...dataPathReady(health) },
  { type: 'Checkpoint', ...checkpointed(health) },
];

type Verdict = Omit<Finding, 'type'>;

const yes = (reason: string, message: string): Verdict => ({ status: 'True', reason, message });
const no = (reason: string, message: string): Verdict => ({ status: 'False', reason, message });

function registered({ allocation, registrationFailure }: Health): Verdict {
  if (registrationFailure !== undefined) return no('RegistrationFailed', registrationFailure);
  if (allocation === undefined) return no('Waiting', 'the operator has made no AgentAllocation yet');
  const refusal = refusalOf(allocation);
  return refusal === undefined
    ? yes('Accepted', 'the operator took the registration')
    : no(refusal.reason, refusal.message);
}

/** The operator's condition where it refuses the registration. */
export const refusalOf = (allocation: AgentAllocation | undefined) =>
  allocation?.status?.conditions?.find(({ type, status }) => type === 'Accepted' && status === 'False');

const synced = ({ unlisted }: Health): Verdict =>
  unlisted.length === 0
    ? yes('Listed', 'all kinds were listed')
    : no('NotListed', `the data path stays as it was: ${unlisted.join('; ')}`);

function dataPathReady({ applied, missing }: Health): Verdict {
  if (applied === undefined) return no('Waiting', missing ?? 'not made yet');
  if (applied.failures.length > 0) {
    return no('Failed', brief(applied.failures.map(({ message }) => message)));
  }
  return missing === undefined
    ? yes('Applied', 'the kernel shows the allocation')
    : yes('Kept', `${missing}: the data path stays as it was`);
}

function checkpointed({ checkpoint: { problem, movedAside } }: Health): Verdict {
  if (problem !== undefined) return no('Failed', problem);
  return movedAside === undefined ? yes('Written', 'on disk') : yes('MovedAside', movedAside);
}

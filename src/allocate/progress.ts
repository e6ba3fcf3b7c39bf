import type { Finding } from '../api/conditions.ts';
import type { SubnetCapacity } from '../api/types.ts';
import { alarm } from './verdict.ts';

/** Reasons of `Accepted=False` or `Ready=False` that end by time alone, or when an agent tries again. */
const passing = new Set(['Cooling', 'NotStored', 'Progressing', 'AgentsFailed']);

/**
 * The conditions that GitOps tools read beside `Ready` (kstatus): `Stalled` means that a person must change something,
 * `Reconciling` that waiting is enough.
 * @param capacity of the object's subnets: an exhaustion ends by itself once cooling blocks are free
 */
export function progress(
  accepted: Finding,
  ready: Finding,
  capacity: readonly Pick<SubnetCapacity, 'releasing' | 'cooling'>[],
): Finding[] {
  const why = [accepted, ready].find(({ status }) => status !== 'True');
  const rests = capacity.some(({ releasing, cooling }) => releasing + cooling > 0);
  const waits = why !== undefined && (passing.has(why.reason) || (why.reason === 'Exhausted' && rests));
  return [
    alarm('Stalled', why !== undefined && !waits ? why : undefined, 'NotStalled', 'nothing is refused'),
    alarm('Reconciling', waits ? why : undefined, 'Settled', 'nothing is waited for'),
  ];
}

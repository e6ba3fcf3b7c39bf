import type { Finding } from '../api/conditions.ts';
import type { SubnetCapacity } from '../api/types.ts';

/** Reasons of `Accepted=False` or `Ready=False` that time alone mends, or an agent that tries again. */
const passing = new Set(['Cooling', 'NotStored', 'Progressing', 'AgentsFailed']);

/**
 * What GitOps tools read beside `Ready` (kstatus): `Stalled` says that somebody has to change something, `Reconciling`
 * that waiting is enough.
 * @param capacity of the object's subnets: blocks that rest end an exhaustion by themselves
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
    finding('Stalled', why !== undefined && !waits ? why : undefined, 'NotStalled', 'nothing is refused'),
    finding('Reconciling', waits ? why : undefined, 'Settled', 'nothing is waited for'),
  ];
}

const finding = (type: string, why: Finding | undefined, reason: string, message: string): Finding =>
  why === undefined
    ? { type, status: 'False', reason, message }
    : { type, status: 'True', reason: why.reason, message: why.message };

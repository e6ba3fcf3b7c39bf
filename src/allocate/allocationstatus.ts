import { withCondition } from '../api/conditions.ts';
import type { AgentAllocation } from '../api/types.ts';
import type { Facts } from './facts.ts';
import { verdict } from './verdict.ts';
import type { Refusal } from './view.ts';

/** The status of an AgentAllocation. Undefined if an accepted registration never had one: it needs none. */
export function allocationStatus(object: AgentAllocation, facts: Facts): AgentAllocation['status'] {
  const { plan, now, withoutVTEP } = facts;
  const { name } = object.metadata;
  const refusal = plan.registrations.refused.get(name) ?? (withoutVTEP.has(name) ? noVTEP : undefined);
  if (refusal === undefined && object.status?.conditions === undefined) return undefined;
  const accepted = verdict('Accepted', refusal, 'Accepted', 'the registration is accepted');
  return { conditions: withCondition(object.status?.conditions, accepted, now, object.metadata.generation) };
}

const noVTEP: Refusal = {
  reason: 'Exhausted',
  message: 'no VTEP is free: the VTEP subnets are too small for one more node',
};

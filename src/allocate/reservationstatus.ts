import { withCondition, type Finding } from '../api/conditions.ts';
import type { OverlayReservation, OverlayReservationStatus } from '../api/types.ts';
import type { Facts } from './facts.ts';
import type { Part, ReservationVerdict } from './reserved.ts';
import { verdict } from './verdict.ts';
import type { Refusal } from './view.ts';

/** Parts that one message names. */
const mostNamed = 5;

/** The state of a reservation; if nothing was planned with it, what it has already. */
export function reservationStatus(
  { metadata, status }: OverlayReservation,
  { plan, view, now }: Pick<Facts, 'plan' | 'view' | 'now'>,
): OverlayReservationStatus | undefined {
  const found = plan.reservations.verdicts.get(metadata.name);
  if (found === undefined) return status;
  const { generation } = metadata;
  const conditions = findings(found, view.nodes).reduce(
    (all, one) => withCondition(all, one, now, generation),
    status?.conditions ?? [],
  );
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(found.node === '' ? {} : { node: found.node }),
    conditions,
  };
}

function findings(
  { expired, node, parts }: ReservationVerdict,
  nodes: Pick<ReadonlyMap<string, unknown>, 'has'>,
): Finding[] {
  if (expired) {
    const over: Refusal = {
      reason: 'Expired',
      message: 'spec.expiresAt is over: nothing is reserved any more',
    };
    return ['Accepted', 'Reserved', 'Bound'].map((type) => verdict(type, over, '', ''));
  }
  const of = (state: Part['state']) => parts.filter((part) => part.state === state);
  const isKept = of('Refused').length + of('Waiting').length === 0;
  const isHeld = isKept && of('Reserved').length === 0;
  return [
    verdict('Accepted', why(of('Refused')), 'Accepted', 'every part can be reserved'),
    verdict(
      'Reserved',
      why([...of('Refused'), ...of('Waiting')]),
      'Reserved',
      `the ledger has all of it for ${node === '' ? 'this reservation' : `node ${node}`}`,
    ),
    verdict('Bound', isHeld ? undefined : notBound(node, nodes), 'Bound', `node ${node} has all of it`),
  ];
}

function notBound(node: string, nodes: Pick<ReadonlyMap<string, unknown>, 'has'>): Refusal {
  if (node === '')
    return {
      reason: 'NoNode',
      message: 'no node is named, and none has registered with spec.address that no other reservation names',
    };
  if (!nodes.has(node)) return { reason: 'NoNode', message: `there is no Node ${node} yet` };
  return { reason: 'NodeWaits', message: `node ${node} does not have all of it yet` };
}

/** The first one's reason, and what speaks against each. */
function why(parts: readonly Part[]): Refusal | undefined {
  const [first] = parts;
  if (first?.why === undefined) return undefined;
  const messages = parts.slice(0, mostNamed).map((part) => part.why?.message ?? '');
  const more = parts.length > mostNamed ? `; and ${parts.length - mostNamed} more` : '';
  return { reason: first.why.reason, message: messages.join('; ') + more };
}

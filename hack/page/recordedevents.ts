import type { Condition, KubeObject } from '../../src/api/types.ts';
import type { StoredEvent } from '../../src/rows/events.ts';
import type { World } from '../../src/rows/world.ts';

/**
 * One Event for each condition: those of networks as src/operator/statuses.ts reports their changes, and some of
 * agents.
 */
export const eventsOf = ({ networks, agents }: World): StoredEvent[] => [
  ...networks.flatMap((network) => of('OverlayNetwork', network, network.status?.conditions)),
  ...[...agents.values()].flatMap((agent) => of('OverlayAgent', agent, agent.status?.conditions)),
];

const of = (
  kind: string,
  { metadata: { name } }: KubeObject,
  conditions: readonly Condition[] = [],
): StoredEvent[] =>
  conditions.map(({ type, status, reason, message, lastTransitionTime }) => ({
    metadata: { name: `${name}.${type}` },
    involvedObject: { kind, name },
    type: status === 'False' && type !== 'Exhausting' ? 'Warning' : 'Normal',
    reason,
    message: message === '' ? `${type} is ${status}` : message,
    count: 1,
    firstTimestamp: lastTransitionTime,
    lastTimestamp: lastTransitionTime,
  }));

import type { Condition, KubeObject } from '../../src/api/types.ts';
import type { StoredEvent } from '../../src/rows/events.ts';
import type { World } from '../../src/rows/world.ts';

/** How long an API server keeps Events by default. */
const keptMs = 3_600_000;

/**
 * One Event for each condition that changed of late: those of networks as src/operator/statuses.ts reports their
 * changes, and some of agents.
 */
export const eventsOf = ({ networks, agents, now }: World): StoredEvent[] =>
  [
    ...networks.flatMap((network) => of('OverlayNetwork', network, network.status?.conditions)),
    ...[...agents.values()].flatMap((agent) => of('OverlayAgent', agent, agent.status?.conditions)),
  ].filter(({ lastTimestamp }) => Date.parse(lastTimestamp ?? '') > now - keptMs);

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

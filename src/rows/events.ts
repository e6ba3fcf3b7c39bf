import type { Entry } from './entry.ts';
import type { EventRow } from './row.ts';

/** The used fields of an Event. Any client of the API server may have written it. */
export interface StoredEvent {
  metadata: { name: string };
  involvedObject: { kind?: string; name?: string };
  type?: string;
  reason?: string;
  message?: string;
  count?: number;
  firstTimestamp?: string | null;
  lastTimestamp?: string | null;
  eventTime?: string | null;
}

/** Kinds whose Events are shown, and what they belong to. */
const kinds: Readonly<Record<string, 'network' | 'node' | 'cluster'>> = {
  OverlayNetwork: 'network',
  OverlayAgent: 'node',
  AgentAllocation: 'node',
  OverlayConfig: 'cluster',
};

/** Returns the entries, newest first. */
export const eventEntries = (events: readonly StoredEvent[]): Entry<EventRow>[] =>
  events.flatMap((event) => {
    const { kind = '', name = '' } = event.involvedObject;
    const of = kinds[kind];
    return of === undefined ? [] : [entryOf(event, `${kind.toLowerCase()}/${name}`, of, name)];
  });

function entryOf(
  { metadata, type, reason = '', message = '', count, ...times }: StoredEvent,
  object: string,
  of: 'network' | 'node' | 'cluster',
  name: string,
): Entry<EventRow> {
  const last = times.lastTimestamp ?? times.eventTime ?? '';
  const row: EventRow = {
    type: type === 'Warning' ? 'Warning' : 'Normal',
    object,
    ...(of === 'cluster' ? {} : { [of]: name }),
    reason,
    message,
    count: Math.max(1, Math.floor(count ?? 1)),
    first: times.firstTimestamp ?? last,
    last,
  };
  const age = Number.isNaN(Date.parse(last)) ? 0 : Date.parse(last);
  return {
    row,
    key: `${String(8.64e15 - age).padStart(16, '0')}\n${metadata.name}`,
    isOf: { network: (wanted) => row.network === wanted, node: (wanted) => row.node === wanted },
    words: () => [row.type, object, reason, message],
    ranges: () => [],
  };
}

/** When the first and the last of several objects went, in milliseconds since the epoch. */
export interface Leaving {
  first: number;
  last: number;
}

export type LeavingKind = 'nodes' | 'networks';

/** That an object is gone is believed once no other of its kind has followed for so many milliseconds. */
const quietMs: Record<LeavingKind, number> = {
  // objects that are deleted together are seen to go one by one, and the first half of many would be believed
  nodes: 250,
  // a CRD that is deleted takes its objects first, and is known to be gone only afterwards
  networks: 1_000,
};

/** Where there is no end of departures, the first of them is believed after so many milliseconds. */
const longestMs = 60_000;

/** After one more went. */
export const oneMoreLeft = (kind: LeavingKind, before: Leaving | undefined, now: number): Leaving => ({
  first: believedAt(kind, before) > now && before !== undefined ? before.first : now,
  last: now,
});

/** When they are believed to be gone, if no other follows, in milliseconds since the epoch. */
export const believedAt = (kind: LeavingKind, leaving: Leaving | undefined): number =>
  leaving === undefined ? -Infinity : Math.min(leaving.last + quietMs[kind], leaving.first + longestMs);

/**
 * When the last OverlayNetwork goes, it is believed after so many milliseconds: on a busy machine a CRD that is deleted is
 * known to be gone seconds after its last object.
 */
const networklessMs = 10_000;

/** When it is believed which networks are gone, in milliseconds since the epoch. */
export function networksToldAt({
  networklessSince,
  leaving,
}: {
  networklessSince: number | undefined;
  leaving: Partial<Record<LeavingKind, Leaving>>;
}): number {
  const none = networklessSince === undefined ? -Infinity : networklessSince + networklessMs;
  return Math.max(none, believedAt('networks', leaving.networks));
}

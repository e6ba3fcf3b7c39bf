/** When the first and the last of several Nodes left, in milliseconds since the epoch. */
export interface Leaving {
  first: number;
  last: number;
}

/**
 * Departures are believed once no further Node has left for this many milliseconds. The operator sees Nodes that are
 * deleted together go one by one. Without the pause it would believe the first half of many.
 */
const quietMs = 250;

/** If departures do not end, the first of them is believed after this many milliseconds. */
const longestMs = 60_000;

/** The times after one more Node left. */
export const oneMoreLeft = (before: Leaving | undefined, now: number): Leaving => ({
  first: believedAt(before) > now && before !== undefined ? before.first : now,
  last: now,
});

/** When the departures are believed, if no further Node leaves, in milliseconds since the epoch. */
export const believedAt = (leaving: Leaving | undefined): number =>
  leaving === undefined ? -Infinity : Math.min(leaving.last + quietMs, leaving.first + longestMs);

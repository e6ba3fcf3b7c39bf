/** When the first and the last of several Nodes went, in milliseconds since the epoch. */
export interface Leaving {
  first: number;
  last: number;
}

/**
 * That a Node is gone is believed once no other has followed for so many milliseconds. Nodes that are deleted together are
 * seen to go one by one, and the first half of many would be believed.
 */
const quietMs = 250;

/** Where there is no end of departures, the first of them is believed after so many milliseconds. */
const longestMs = 60_000;

/** After one more went. */
export const oneMoreLeft = (before: Leaving | undefined, now: number): Leaving => ({
  first: believedAt(before) > now && before !== undefined ? before.first : now,
  last: now,
});

/** When they are believed to be gone, if no other follows, in milliseconds since the epoch. */
export const believedAt = (leaving: Leaving | undefined): number =>
  leaving === undefined ? -Infinity : Math.min(leaving.last + quietMs, leaving.first + longestMs);

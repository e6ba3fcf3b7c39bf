import { confirmDepartures } from '../api/labels.ts';
import type { Departures, LedgerIndex } from '../api/types.ts';
import { believedAt } from './leaving.ts';
import { listedPages, vtepSpace } from './space.ts';
import type { View } from './view.ts';

/** Nodes that left within this time, in milliseconds, count as one departure. */
const togetherMs = 60_000;

/** How long a confirmation stays in force, in milliseconds: departures that belong to it may still be seen. */
const confirmedMs = 600_000;

/** A departure of at most this many nodes is always believed: a cluster of three may lose two. */
const fewNodes = 2;

export interface DepartureVerdict {
  /** Nodes that are gone and still hold a VTEP. */
  absent: Set<string>;
  /** Those that are gone, and those that had a VTEP. */
  counts: { gone: number; of: number };
  /** Whether the departure is too large to be believed. Then nothing is taken from these nodes. */
  disbelieved: boolean;
  /** Whether more nodes may be about to leave. Until that is known, nothing is taken from these nodes. */
  unsettled: boolean;
  /** For the index. The same object as before if nothing changes. */
  departures: Departures | undefined;
  /** When the verdict may change by time alone, in milliseconds since the epoch. */
  wakeAt: number;
}

/** Judges whether so many nodes are gone at once that a person must confirm it. */
export function judgeDepartures(view: View, index: LedgerIndex): DepartureVerdict {
  const { absent, gone, of } = count(view, index);
  const mass = gone > fewNodes && gone > of / 2;
  const known = index.departures;
  const verdict: DepartureVerdict = {
    absent,
    counts: { gone, of },
    disbelieved: false,
    unsettled: false,
    departures: undefined,
    wakeAt: mass ? view.now + togetherMs : Infinity,
  };
  if (known?.confirmedAt !== undefined) {
    const until = Date.parse(known.confirmedAt) + confirmedMs;
    if (until > view.now) return { ...verdict, departures: known, wakeAt: until };
  }
  const standing = known?.confirmedAt === undefined ? known : undefined;
  // departures of nodes that left together with the returned ones may still be seen
  const lasts = standing !== undefined && [...absent].some((node) => !view.confirmedGone.has(node));
  if (!mass && !lasts) {
    const settledAt = absent.size === 0 || of <= fewNodes ? -Infinity : believedAt(view.leaving);
    return settledAt > view.now ? { ...verdict, unsettled: true, wakeAt: settledAt } : verdict;
  }
  const departures = standing ?? { id: newId(view.now), since: new Date(view.now).toISOString() };
  if (view.config?.metadata.annotations?.[confirmDepartures] === departures.id) {
    return { ...verdict, departures: { ...departures, confirmedAt: new Date(view.now).toISOString() } };
  }
  // until the API server itself was asked for these Nodes, the cache may be old, so nothing is taken
  const sure = [...absent].every((node) => view.asked.nodes.has(node));
  return { ...verdict, disbelieved: true, departures: sure ? departures : standing };
}

function count(view: View, index: LedgerIndex): { absent: Set<string>; gone: number; of: number } {
  const absent = new Set<string>();
  let gone = 0;
  let of = 0;
  for (const space of index.spaces) {
    if (space.cidr !== vtepSpace) continue;
    for (const { page } of listedPages(view.ledger, space)) {
      for (const { node, state, since } of page.blocks) {
        // a node that something is reserved for may never have been there
        if (state === 'Reserved') continue;
        const there = view.nodes.has(node);
        const held = state === 'Held' || state === 'Quarantined';
        if (!held && (there || Date.parse(since) + togetherMs < view.now)) continue;
        of++;
        if (there) continue;
        if (held) absent.add(node);
        if (!held || !view.confirmedGone.has(node)) gone++;
      }
    }
  }
  return { absent, gone, of };
}

/** A new id: the time to the millisecond. It is readable, and a valid annotation value. */
export const newId = (now: number): string => new Date(now).toISOString().replaceAll(':', '').toLowerCase();

import type { Departures, LedgerIndex } from '../api/types.ts';
import { believedAt } from './leaving.ts';
import { listedPages, vtepSpace } from './space.ts';
import type { View } from './view.ts';

/** Its value confirms one mass departure: the id that OverlayConfig's status shows. */
export const confirmDepartures = 'overlaynet.dev/confirm-departures';

/** Nodes that left within so many milliseconds count together. */
const togetherMs = 60_000;

/** How long a confirmation stays in force, in milliseconds: departures that belong to it may still be seen. */
const confirmedMs = 600_000;

/** So few are believed whatever the share: a cluster of three may lose two. */
const fewNodes = 2;

export interface DepartureVerdict {
  /** Nodes that are gone and still hold a VTEP. */
  absent: Set<string>;
  /** Those that are gone, and those that had a VTEP. */
  counts: { gone: number; of: number };
  /** Nothing is taken from nodes that are gone. */
  disbelieved: boolean;
  /** Nothing is taken from them yet: others may be about to follow. */
  unsettled: boolean;
  /** For the index; the same object where nothing changes. */
  departures: Departures | undefined;
  /** When it looks different without any change, in milliseconds since the epoch. */
  wakeAt: number;
}

/** Whether so many nodes are gone at once that a person has to say that it is true. */
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
  // those that went with the ones that are back already are still believed to come
  const lasts = standing !== undefined && [...absent].some((node) => !view.confirmedGone.has(node));
  if (!mass && !lasts) {
    const settledAt = absent.size === 0 || of <= fewNodes ? -Infinity : believedAt(view.leaving);
    return settledAt > view.now ? { ...verdict, unsettled: true, wakeAt: settledAt } : verdict;
  }
  const departures = standing ?? { id: newId(view.now), since: new Date(view.now).toISOString() };
  if (view.config?.metadata.annotations?.[confirmDepartures] === departures.id) {
    return { ...verdict, departures: { ...departures, confirmedAt: new Date(view.now).toISOString() } };
  }
  // before the Nodes themselves were asked for it is a stale cache's word, and nothing is taken on that either
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

/** Readable, and fit for an annotation's value: the time to the millisecond. */
export const newId = (now: number): string => new Date(now).toISOString().replaceAll(':', '').toLowerCase();

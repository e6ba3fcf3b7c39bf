import type { AgentAllocationSpec } from '../api/types.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { Claims } from './claims.ts';

/** Departures of a cluster with fewer peers are believed: half of it is soon a single rack. */
const fewestPeers = 8;

/** Losses within this time count together. */
const windowMs = 60_000;

/** How long a mass departure is not believed by itself. */
const disbeliefMs = 600_000;

/**
 * A peer leaves the kernel once none has gone for this long. A CRD that is deleted takes its objects one by one, and
 * OverlayConfig, or this node's own AgentAllocation, may be the last: this waits for it.
 */
const quietMs = 250;

/** A peer whose AgentAllocation is gone. */
export interface Gone {
  node: string;
  /** As it was. */
  spec: AgentAllocationSpec;
  /** Unix time in ms when it was noticed. */
  since: number;
  /** The data path still has it. */
  kept: boolean;
  /** More than half of the peers went with it, and that is not believed. */
  mass: boolean;
  /** Noticed after a time in which the caches did not say enough: it may come back later than others. */
  late: boolean;
}

/** What departures are judged by. */
export interface DepartureView {
  /** The data path's peers, by the last judgement. */
  last: Snapshot['allocations'];
  /** Names of peers that have an AgentAllocation. */
  present: ReadonlySet<string>;
  /** Every present AgentAllocation, this node's included. */
  others: readonly AgentAllocationSpec[];
  /** Nobody can tell now what is gone: nothing leaves. */
  unsure: boolean;
  /** Until now the caches did not say enough. */
  interrupted: boolean;
  /** A person confirmed the departure that the operator does not believe. */
  confirmed: boolean;
  /** Unix time in ms. */
  now: number;
}

/**
 * The peers that are gone, judged anew. Those that are `kept` stay in the data path: for a moment, so that a deletion of
 * everything shows as such, or for ten minutes, where more than half of at least eight went within a minute.
 */
export function judgeDepartures(before: readonly Gone[], view: DepartureView): Gone[] {
  const { present, unsure, confirmed, now } = view;
  const all = goneNow(before, view);
  if (all.length === 0) return [];
  if (unsure) return all.map((one) => (one.mass || !one.kept ? one : { ...one, since: now }));
  const counted = all
    .filter(({ mass, since }) => now - since < (mass ? disbeliefMs : windowMs))
    .filter(({ mass, kept }) => !confirmed || (kept && !mass));
  const isMass = !confirmed && present.size + counted.length >= fewestPeers && counted.length > present.size;
  if (isMass) return counted.map((one) => ({ ...one, mass: true, kept: true }));
  const leaveAt = leaveTime(counted);
  return counted.map((one) => (one.kept && !one.mass && leaveAt(one) <= now ? { ...one, kept: false } : one));
}

/** When to judge again although nothing changed, in Unix ms; Infinity: no such time. */
export function nextJudgement(gone: readonly Gone[]): number {
  const leaveAt = leaveTime(gone);
  return gone.reduce((soonest, one) => {
    if (!one.kept) return soonest;
    return Math.min(soonest, one.mass ? one.since + disbeliefMs : leaveAt(one));
  }, Infinity);
}

/** When the last of these that are not believed is believed by itself, in Unix ms. */
export const believedAt = (gone: readonly Gone[]): number =>
  Math.max(...gone.filter(({ mass }) => mass).map(({ since }) => since + disbeliefMs));

/** One that another stands in for now has gone for good, and is counted no more. */
function goneNow(before: readonly Gone[], view: DepartureView): Gone[] {
  const { last, present, others, interrupted, now } = view;
  const known = new Set(before.map(({ node }) => node));
  const all = [
    // a clock that was put back makes nobody wait longer
    ...before
      .filter(({ node }) => !present.has(node))
      .map((one) => (one.since > now ? { ...one, since: now } : one)),
    ...last
      .filter(({ node }) => !present.has(node) && !known.has(node))
      .map(({ node, spec }) => ({ node, spec, since: now, kept: true, mass: false, late: interrupted })),
  ];
  if (all.length === 0) return all;
  // the few are looked for among the many: the other way round would take a quarter of a second at 5,000 nodes
  const theirs = new Claims(all.map(({ spec }) => spec));
  const taken = new Claims(others.filter((spec) => theirs.meet(spec)));
  return all.filter(({ spec }) => !taken.meet(spec));
}

function leaveTime(gone: readonly Gone[]): (one: Gone) => number {
  const leaving = gone.filter(({ kept, mass, late }) => kept && !mass && !late);
  const quiet = leaving.reduce((latest, { since }) => Math.max(latest, since), -Infinity) + quietMs;
  return ({ since, late }) => (late ? since + windowMs : Math.min(quiet, since + windowMs));
}

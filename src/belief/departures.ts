import type { AgentAllocationSpec } from '../api/types.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { Claims } from './claims.ts';

/** Departures of a cluster with fewer peers are believed: half of it is soon a single rack. */
const fewestPeers = 8;

/** Losses within this time count together, and a lost peer has as long to come back. */
const windowMs = 60_000;

/** How long a mass departure is not believed by itself. */
const disbeliefMs = 600_000;

/** A peer whose AgentAllocation is gone although the operator had not emptied it. The data path still has it. */
export interface Gone {
  node: string;
  /** As it was. */
  spec: AgentAllocationSpec;
  /** Unix time in ms when it was noticed. */
  since: number;
  /** More than half of the peers went with it, and that is not believed. */
  mass: boolean;
}

/** What departures are judged by. */
export interface DepartureView {
  /** The data path's peers, by the last judgement. */
  last: Snapshot['allocations'];
  /** Names of peers that have an AgentAllocation. */
  present: ReadonlySet<string>;
  /** Names of peers whose AgentAllocation the operator emptied: they have left. */
  released: ReadonlySet<string>;
  /** Every present AgentAllocation, this node's included. */
  others: readonly AgentAllocationSpec[];
  /** Nobody can tell now what is gone: nothing leaves. */
  unsure: boolean;
  /** A person confirmed the departure that the operator does not believe. */
  confirmed: boolean;
  /** Unix time in ms. */
  now: number;
}

/**
 * The peers that are lost, judged anew. Each stays for a minute, in which the operator can show it again, or for ten
 * minutes, where more than half of at least eight went within a minute.
 */
export function judgeDepartures(before: readonly Gone[], view: DepartureView): Gone[] {
  const { present, unsure, confirmed, now } = view;
  const all = goneNow(before, view);
  if (all.length === 0) return [];
  if (unsure) return all.map((one) => (one.mass ? one : { ...one, since: now }));
  const counted = all.filter((one) => now < staysUntil(one) && !(confirmed && one.mass));
  const isMass = !confirmed && present.size + counted.length >= fewestPeers && counted.length > present.size;
  return isMass ? counted.map((one) => ({ ...one, mass: true })) : counted;
}

/** When to judge again although nothing changed, in Unix ms; Infinity: no such time. */
export const nextJudgement = (gone: readonly Gone[]): number => Math.min(...gone.map(staysUntil));

/** When the last of these that are not believed is believed by itself, in Unix ms. */
export const believedAt = (gone: readonly Gone[]): number =>
  Math.max(...gone.filter(({ mass }) => mass).map(staysUntil));

const staysUntil = ({ mass, since }: Gone): number => since + (mass ? disbeliefMs : windowMs);

/** One that another stands in for now has gone for good, and is counted no more. */
function goneNow(before: readonly Gone[], view: DepartureView): Gone[] {
  const { last, present, released, others, now } = view;
  const known = new Set(before.map(({ node }) => node));
  const all = [
    // a clock that was put back makes nobody wait longer
    ...before
      .filter(({ node }) => !present.has(node))
      .map((one) => (one.since > now ? { ...one, since: now } : one)),
    ...last
      .filter(({ node }) => !present.has(node) && !known.has(node))
      .map(({ node, spec }) => ({ node, spec, since: now, mass: false })),
  ].filter(({ node }) => !released.has(node));
  if (all.length === 0) return all;
  // the few are looked for among the many: the other way round would take a quarter of a second at 5,000 nodes
  const theirs = new Claims(all.map(({ spec }) => spec));
  const taken = new Claims(others.filter((spec) => theirs.meet(spec)));
  return all.filter(({ spec }) => !taken.meet(spec));
}

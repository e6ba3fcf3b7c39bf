import type { AgentAllocationSpec } from '../api/types.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { Claims } from './claims.ts';

/** In a cluster with fewer peers departures are believed at once, because half of its nodes may be a single rack. */
const fewestPeers = 8;

/** Losses within this time count together, and a lost peer has this long to come back. */
const windowMs = 60_000;

/** A released peer leaves after this time: the operator shows at once again what a person deleted. */
const releasedMs = 500;

/** How long it takes until a mass departure is believed without confirmation. */
const disbeliefMs = 600_000;

/** A peer whose AgentAllocation is gone although the operator had not emptied it. The data path still has it. */
export interface LostPeer {
  node: string;
  /** Its allocation as it was. */
  spec: AgentAllocationSpec;
  /** Unix time in ms when the loss was noticed. */
  since: number;
  /** More than half of the peers went with it, so its departure is not believed. */
  mass: boolean;
  /** The ledger has taken this peer's blocks back. */
  released?: true;
}

/** The facts that departures are judged by. */
export interface DepartureView {
  /** The data path's peers, by the last judgement. */
  last: Snapshot['allocations'];
  /** Names of peers that have an AgentAllocation. */
  present: ReadonlySet<string>;
  /** Names of peers whose AgentAllocation the operator emptied: they have left. */
  released: ReadonlySet<string>;
  /** Every present AgentAllocation, including this node's. */
  others: readonly AgentAllocationSpec[];
  /** Whether the ledger has taken back what these lost peers had. Asked only when a peer is lost. */
  allShown: (lost: readonly AgentAllocationSpec[]) => boolean;
  /** The objects cannot currently show what is gone, so no peer leaves. */
  unsure: boolean;
  /** A person confirmed the departure that the operator does not believe. */
  confirmed: boolean;
  /** Unix time in ms. */
  now: number;
}

/**
 * Judges again which peers are lost. Each stays for a minute, in which the operator can show it again, or for ten minutes if
 * more than half of at least eight peers went within a minute. A peer that was released while this agent did not run leaves
 * at once.
 */
export function judgeDepartures(before: readonly LostPeer[], view: DepartureView): LostPeer[] {
  const { present, unsure, confirmed, now } = view;
  const lost = lostNow(before, view);
  if (lost.length === 0) return [];
  const isReleased = !unsure && view.allShown(lost.map(({ spec }) => spec));
  const all = lost.map(({ node, spec, since, mass }): LostPeer => ({
    ...{ node, spec, since, mass },
    ...(isReleased ? { released: true } : {}),
  }));
  if (unsure) return all.map((one) => (one.mass ? one : { ...one, since: now }));
  const counted = all.filter((one) => now < staysUntil(one) && !(confirmed && one.mass));
  const isMass =
    !confirmed &&
    !isReleased &&
    present.size + counted.length >= fewestPeers &&
    counted.length > present.size;
  return isMass ? counted.map((one) => ({ ...one, mass: true })) : counted;
}

/** When to judge again although nothing changed, in Unix ms; Infinity if never. */
export const nextJudgement = (lost: readonly LostPeer[]): number => Math.min(...lost.map(staysUntil));

/** When the last unbelieved departure is believed without confirmation, in Unix ms. */
export const believedAt = (lost: readonly LostPeer[]): number =>
  Math.max(...lost.filter(({ mass }) => mass).map(staysUntil));

const staysUntil = ({ mass, since, released }: LostPeer): number =>
  since + (released === true ? releasedMs : mass ? disbeliefMs : windowMs);

/** The lost peers that count. A peer whose block or address another peer has taken is gone for good, and does not count. */
function lostNow(before: readonly LostPeer[], view: DepartureView): LostPeer[] {
  const { last, present, released, others, now } = view;
  const known = new Set(before.map(({ node }) => node));
  const all = [
    // a clock that was set back must not make the wait longer
    ...before
      .filter(({ node }) => !present.has(node))
      .map((one) => (one.since > now ? { ...one, since: now } : one)),
    ...last
      .filter(({ node }) => !present.has(node) && !known.has(node))
      .map(({ node, spec }) => ({ node, spec, since: now, mass: false })),
  ].filter(({ node }) => !released.has(node));
  if (all.length === 0) return all;
  // looks up the few lost peers among the many present ones: the other direction takes a quarter of a second at 5,000 nodes
  const theirs = new Claims(all.map(({ spec }) => spec));
  const taken = new Claims(others.filter((spec) => theirs.meet(spec)));
  return all.filter(({ spec }) => !taken.meet(spec));
}

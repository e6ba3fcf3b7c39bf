import { isLeaving } from '../api/inuse.ts';
import type { AgentAllocation, AgentAllocationSpec, OverlayConfig, OverlayNetwork } from '../api/types.ts';
import { ownAllocation, type Snapshot } from '../dataplane/snapshot.ts';
import { judgeDepartures, nextJudgement, type LostPeer } from './departures.ts';
import { departuresConfirmed, endOf, judgeDoubt, type Doubt } from './doubt.ts';
import { isAllShown } from './shown.ts';
import { union, withQuarantined } from './union.ts';

/**
 * How long a network stays that has no AgentAllocation and no block on this node, because all objects may be about to go.
 */
const absentMs = 5_000;

/** What the agent believes of the caches so far. */
export interface Belief {
  /** What the data path should show. */
  snapshot: Snapshot;
  /** uid of the OverlayConfig that was last believed. */
  configUID?: string;
  /** Why nothing is withdrawn now. */
  doubt?: Doubt;
  /** Peers that stay although their AgentAllocation is lost. */
  lostPeers: LostPeer[];
  /** Networks in force without an OverlayNetwork, by name: since when, in Unix ms. */
  absent: ReadonlyMap<string, number>;
  /** The caches did not hold enough when they were last looked at. */
  interrupted: boolean;
}

/** What synced caches hold. */
export interface Evidence {
  config: OverlayConfig | undefined;
  networks: readonly OverlayNetwork[];
  allocations: readonly AgentAllocation[];
  /** The highest resourceVersion that an earlier agent of this node saw, by its checkpoint, or that an AgentAllocation had since. */
  seen: bigint | undefined;
  /** The snapshot made from them; undefined if they do not hold enough. */
  next: Snapshot | undefined;
  /** Nodes whose AgentAllocation the operator emptied, whether or not it still exists. */
  released: ReadonlySet<string>;
  /** resourceVersions are lower than those seen before. */
  wentBack: boolean;
  /** The API server refuses to list a kind, or no longer knows it. */
  refused: boolean;
  /** Unix time in ms. */
  now: number;
}

/**
 * The belief of an agent that starts.
 * @param last from its checkpoint
 */
export const firstBelief = (
  last: Snapshot,
  remembered: Partial<Pick<Belief, 'configUID' | 'doubt' | 'lostPeers'>> = {},
): Belief => ({ lostPeers: [], ...remembered, snapshot: last, absent: new Map(), interrupted: false });

/**
 * Computes what is believed now. Additions, and changes to an existing name, count at once. Removals count unless all
 * objects were lost or replaced by older ones. Undefined if nothing is known yet.
 *
 * A network without its object stays while an existing AgentAllocation shows a block of it, because the operator withdraws
 * networks, and a deleted CRD removes its objects in any order.
 */
export function believe(before: Belief | undefined, evidence: Evidence): Belief | undefined {
  const { config, next, refused, now, wentBack } = evidence;
  if (config === undefined || (next === undefined && before === undefined)) return interrupted(before);
  const uid = config.metadata.uid;
  const doubt =
    judgeDoubt(before?.doubt, { config, believed: before?.configUID, wentBack, now }) ??
    (refused ? before?.doubt : undefined);
  const configUID = doubt === undefined ? uid : (before?.configUID ?? uid);
  const doubts = {
    ...(configUID === undefined ? {} : { configUID }),
    ...(doubt === undefined ? {} : { doubt }),
  };
  if (before === undefined) return next && { ...firstBelief(next), ...doubts };
  if (next === undefined) return { ...without(before), ...doubts, interrupted: true };
  const quarantined = config.status?.quarantined ?? [];
  if (doubt !== undefined) {
    const all = withAPIServers(before.snapshot, union(before.snapshot, next));
    return { ...firstBelief(withQuarantined(before.snapshot, all, quarantined)), ...doubts };
  }
  const absent = absentNetworks(before, next, evidence);
  const networks = withNetworks(before.snapshot, next, absent);
  // an object that has not come back when a doubt ends is gone
  const lostPeers = before.doubt === undefined ? judgePeers(before, networks, { ...evidence, config }) : [];
  const all = lostPeers.length === 0 ? networks : withPeers(networks, lostPeers);
  const snapshot = withAPIServers(before.snapshot, withQuarantined(before.snapshot, all, quarantined));
  return { snapshot, ...doubts, lostPeers, absent, interrupted: false };
}

/** Networks that have stayed so long that the operator should have withdrawn them. */
export const overdue = ({ absent }: Belief, now: number): string[] =>
  [...absent].filter(([, since]) => now - since >= absentMs).map(([name]) => name);

/** When to look again although nothing changed, in Unix ms; Infinity if never. */
export function wakeAt({ doubt, lostPeers, absent }: Belief, now: number): number {
  const settled = [...absent.values()].map((since) => since + absentMs).filter((at) => at > now);
  return Math.min(doubt === undefined ? Infinity : endOf(doubt), nextJudgement(lostPeers), ...settled);
}

/** The part of a snapshot that objects do not show. */
export interface Kept {
  peers: string[];
  networks: string[];
  /** This node's own blocks. */
  blocks: string[];
}

/** @param next the snapshot made from the objects alone; undefined if they do not hold enough */
export function keptBy(belief: Belief | undefined, next: Snapshot | undefined): Kept {
  if (belief === undefined || next === undefined) return { peers: [], networks: [], blocks: [] };
  const { snapshot } = belief;
  const nodes = new Set(next.allocations.map(({ node }) => node));
  const names = new Set(next.networks.map(({ metadata }) => metadata.name));
  const blocks = new Set(blocksOf(ownAllocation(next)));
  return {
    peers: snapshot.allocations.map(({ node }) => node).filter((node) => !nodes.has(node)),
    networks: snapshot.networks.map(({ metadata }) => metadata.name).filter((name) => !names.has(name)),
    blocks: blocksOf(ownAllocation(snapshot)).filter((block) => !blocks.has(block)),
  };
}

const blocksOf = (spec: AgentAllocationSpec | undefined): string[] =>
  (spec?.networks ?? []).flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr));

const interrupted = (before: Belief | undefined): Belief | undefined =>
  before && { ...before, interrupted: true };

/** The belief without the parts that are judged again each time. */
const without = ({ snapshot, lostPeers, absent }: Belief) => ({ snapshot, lostPeers, absent });

function judgePeers(
  before: Belief,
  next: Snapshot,
  evidence: Evidence & { config: OverlayConfig },
): LostPeer[] {
  const { now, refused, config, released } = evidence;
  const others = next.allocations.map(({ spec }) => spec);
  const last = before.snapshot.allocations.filter(({ node }) => node !== next.node);
  // objects that left just before an interruption get as much time to come back as all others
  const lost = before.interrupted
    ? before.lostPeers.map((one) => (one.mass ? one : { ...one, since: now }))
    : before.lostPeers;
  return judgeDepartures(lost, {
    last,
    present: new Set(next.allocations.map(({ node }) => node).filter((node) => node !== next.node)),
    released,
    others,
    allShown: (lost) => isAllShown(lost, evidence),
    unsure: refused,
    confirmed: departuresConfirmed(config),
    now,
  });
}

/**
 * Networks that were in force and now have no object, or one that is being deleted, or a new one that is not in force
 * yet.
 */
function absentNetworks(before: Belief, next: Snapshot, evidence: Evidence): Map<string, number> {
  const { networks, refused, now } = evidence;
  const inForce = new Set(next.networks.map(({ metadata }) => metadata.name));
  const missing = before.snapshot.networks.filter(({ metadata }) => !inForce.has(metadata.name));
  if (missing.length === 0) return new Map();
  const objects = new Map(networks.map((network) => [network.metadata.name, network]));
  const shown = new Set(next.allocations.flatMap(({ spec }) => namesOf(spec)));
  const ours = new Set(namesOf(ownAllocation(before.snapshot)));
  return new Map(
    missing.flatMap(({ metadata: { name, uid } }) => {
      const object = objects.get(name);
      // a person confirmed it
      if (object !== undefined && !isGone(object, uid)) return [];
      const since = refused ? now : Math.min(before.absent.get(name) ?? now, now);
      // the operator has withdrawn a network that this node had and no AgentAllocation shows
      const isKept = shown.has(name) || (!ours.has(name) && now - since < absentMs);
      return isKept ? [[name, since]] : [];
    }),
  );
}

const namesOf = (spec: AgentAllocationSpec | undefined): string[] =>
  (spec?.networks ?? []).map(({ name }) => name);

const isGone = ({ metadata, spec }: OverlayNetwork, uid: string | undefined): boolean =>
  isLeaving(metadata) || (uid !== undefined && metadata.uid !== uid && spec.enabled);

function withNetworks(last: Snapshot, next: Snapshot, absent: ReadonlyMap<string, number>): Snapshot {
  if (absent.size === 0) return next;
  const kept = last.networks.filter(({ metadata }) => absent.has(metadata.name));
  return {
    ...next,
    networks: [...next.networks, ...kept].sort((a, b) => order(a.metadata.name, b.metadata.name)),
  };
}

function withPeers(next: Snapshot, lost: readonly LostPeer[]): Snapshot {
  const peers = lost.map(({ node, spec }) => ({ node, spec }));
  return { ...next, allocations: [...next.allocations, ...peers].sort((a, b) => order(a.node, b.node)) };
}

/** Adds the requirements of networks that stay, which the others may not have. */
function withAPIServers(last: Snapshot, next: Snapshot): Snapshot {
  const asked = next.networks.some(({ spec }) => spec.isolation?.allowAPIServer === true);
  if (!asked || next.apiServers !== undefined || last.apiServers === undefined) return next;
  return { ...next, apiServers: last.apiServers };
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

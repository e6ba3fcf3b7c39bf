import type {
  AgentAllocationSpec,
  AllocatedNetwork,
  EffectiveConfig,
  NetworkSubnet,
  QuarantinedBlock,
} from '../api/types.ts';
import { ownAllocation, type Snapshot } from '../dataplane/snapshot.ts';
import { overlaps, parseCidr } from '../net/cidr.ts';
import { Claims } from './claims.ts';
import { withoutLength } from '../net/address.ts';

type Network = Snapshot['networks'][number];
type Allocation = Snapshot['allocations'][number];

/**
 * Joins the kernel's state with the new one, and withdraws nothing of `last`. Where networks overlap, and for this node's
 * own blocks, the kernel's state wins, because its containers use it. For peers, existing AgentAllocations decide, because a
 * packet cannot reach two nodes.
 */
export function union(last: Snapshot, next: Snapshot): Snapshot {
  const networks = unionOfNetworks(last.networks, next.networks);
  const own = heldOwn(ownAllocation(last), ownAllocation(next));
  const others = next.allocations.filter(({ node }) => node !== next.node);
  const peers = unionOfPeers(last, others, networks);
  const allocations = [
    ...(own === undefined ? [] : [{ node: next.node, spec: own }]),
    ...(own === undefined ? peers : spareOwn(peers, own)),
  ];
  return {
    ...next,
    config: pinned(last.config, next.config),
    networks,
    allocations: allocations.sort((a, b) => order(a.node, b.node)),
  };
}

/**
 * Adds this node's own blocks that two nodes hold and that its AgentAllocation lacks, because this node's containers use
 * them.
 */
export function withQuarantined(
  last: Snapshot,
  next: Snapshot,
  quarantined: readonly QuarantinedBlock[],
): Snapshot {
  const [before, now] = [ownAllocation(last), ownAllocation(next)];
  const ours = quarantined.filter(({ nodes }) => nodes.includes(next.node));
  if (ours.length === 0 || before === undefined || now === undefined) return next;
  const kept = (before.networks ?? []).map(({ name, subnets }) => ({
    name,
    subnets: subnets.filter(({ cidr }) => ours.some((one) => one.network === name && one.cidr === cidr)),
  }));
  const vteps = ours.filter(({ network }) => network === '').map(({ cidr }) => withoutLength(cidr));
  const isHeld = [before.vtep?.ip, before.vtep?.ip6].some((text) =>
    vteps.includes(withoutLength(text ?? '')),
  );
  const merged = withNetworks(now, kept);
  const own = isHeld && before.vtep !== undefined ? { ...merged, vtep: before.vtep } : merged;
  const spec = own === now ? now : sameAs(before, own);
  const peers = next.allocations.filter(({ node }) => node !== next.node);
  const allocations = [{ node: next.node, spec }, ...spareOwn(peers, spec)];
  return { ...next, allocations: allocations.sort((a, b) => order(a.node, b.node)) };
}

/** Each network as it is now, with the subnets that it had. New subnets that overlap the kernel's wait. */
function unionOfNetworks(last: readonly Network[], next: readonly Network[]): Network[] {
  const inForce = last.flatMap(({ spec }) => spec.subnets);
  const isFree = ({ cidr }: NetworkSubnet) =>
    !inForce.some((other) => overlaps(parseCidr(other.cidr), parseCidr(cidr)));
  const before = new Map(last.map((network) => [network.metadata.name, network]));
  const now = new Set(next.map(({ metadata }) => metadata.name));
  const merged = next.flatMap((network): Network[] => {
    const old = before.get(network.metadata.name)?.spec.subnets ?? [];
    const subnets = [
      ...old.map((entry) => network.spec.subnets.find((one) => sameEntry(one, entry)) ?? entry),
      ...network.spec.subnets.filter(isFree),
    ];
    return subnets.length === 0 ? [] : [{ ...network, spec: { ...network.spec, subnets } }];
  });
  const missing = last.filter(({ metadata }) => !now.has(metadata.name));
  return [...merged, ...missing].sort((a, b) => order(a.metadata.name, b.metadata.name));
}

/** This node's own allocation stays as it is. New blocks wait until the objects are believed. */
function heldOwn(
  last: AgentAllocationSpec | undefined,
  next: AgentAllocationSpec | undefined,
): AgentAllocationSpec | undefined {
  if (last?.vtep === undefined || next === undefined) return next ?? last;
  if (next.revision < last.revision) return last;
  const kept = {
    ...next,
    vtep: last.vtep,
    ...(last.networks === undefined ? {} : { networks: last.networks }),
  };
  // a revision is in the kernel only when everything it contains is
  if (same(kept, next)) return next;
  return sameAs(last, { ...kept, revision: last.revision });
}

function unionOfPeers(
  last: Snapshot,
  present: readonly Allocation[],
  networks: readonly Network[],
): Allocation[] {
  const inForce = new Set(networks.map(({ metadata }) => metadata.name));
  const now = new Map(present.map(({ node, spec }) => [node, spec]));
  const claims = new Claims(now.values(), (network) => inForce.has(network));
  const before = new Map(last.allocations.map(({ node, spec }) => [node, spec]));
  before.delete(last.node);
  const merged = present.map(({ node, spec }) => {
    const old = before.get(node);
    // a peer's own present blocks are among the claims, and need not be kept
    const missing = old === undefined || old === spec ? [] : claims.spare(old.networks ?? []);
    return { node, spec: old === undefined ? spec : sameAs(old, withNetworks(spec, missing)) };
  });
  const missing = last.allocations.filter(({ node }) => node !== last.node && !now.has(node));
  return [...merged, ...missing.filter(({ spec }) => !claims.meet(spec))];
}

/** Removes this node's own addresses from its peers: no peer can be reached there. */
function spareOwn(peers: readonly Allocation[], own: AgentAllocationSpec): Allocation[] {
  const claims = new Claims([own]);
  return peers
    .filter(({ spec }) => !claims.standFor(spec))
    .map((peer) =>
      claims.meet(peer.spec)
        ? { node: peer.node, spec: { ...peer.spec, networks: claims.spare(peer.spec.networks ?? []) } }
        : peer,
    );
}

/** The allocation with these blocks added; the same object if it has them all. */
function withNetworks(spec: AgentAllocationSpec, more: readonly AllocatedNetwork[]): AgentAllocationSpec {
  const all = new Map((spec.networks ?? []).map((network) => [network.name, network]));
  let isChanged = false;
  for (const { name, subnets } of more) {
    const has = all.get(name)?.subnets ?? [];
    const missing = subnets.filter(({ cidr }) => !has.some((one) => one.cidr === cidr));
    if (missing.length === 0) continue;
    isChanged = true;
    all.set(name, { name, subnets: [...has, ...missing] });
  }
  if (!isChanged) return spec;
  return { ...spec, networks: [...all.values()].sort((a, b) => order(a.name, b.name)) };
}

/** Keeps the settings that all nodes must change together. Otherwise no tunnel works. */
function pinned(last: EffectiveConfig, next: EffectiveConfig): EffectiveConfig {
  const { vtepSubnets, vtepMACOUI, vni, port, underlay } = last;
  return { ...next, vtepSubnets, vtepMACOUI, vni, port, underlay };
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const same = (a: AgentAllocationSpec, b: AgentAllocationSpec): boolean =>
  JSON.stringify(canonical(a)) === JSON.stringify(canonical(b));
/** The old object if the content is the same, because passes compare objects by identity. */
const sameAs = (old: AgentAllocationSpec, spec: AgentAllocationSpec): AgentAllocationSpec =>
  same(old, spec) ? old : spec;
const sameEntry = (a: NetworkSubnet, b: NetworkSubnet): boolean => a.cidr === b.cidr && a.prefix === b.prefix;

/** Makes a form to compare, independent of key order, which may be the API server's or ours. */
const canonical = ({ revision, nodeUID, addresses, vtep, networks = [] }: AgentAllocationSpec) => [
  revision,
  nodeUID,
  addresses,
  [vtep?.ip, vtep?.ip6, vtep?.mac],
  networks.map(({ name, subnets }) => [
    name,
    subnets.map(({ cidr, bridges }) => [cidr, bridges?.cni, bridges?.docker]),
  ]),
];

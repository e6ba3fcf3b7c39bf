import type { AgentAllocationSpec } from '../api/types.ts';
import { familyNamed, familyOf, formatAddress, withoutLength, type Family } from '../net/address.ts';
import { bare, gateway, parseCidr } from '../net/cidr.ts';
import { cniBridge, tunnelName } from '../net/name.ts';
import { joinChains } from './chains.ts';
import { desiredChains, desiredSets } from './filter.ts';
import { hash } from './hash.ts';
import { isolationChains, isolationSets } from './isolation.ts';
import { judgedFamilies, policyOf, type Policy } from './policy.ts';
import { withLeftovers } from './leftovers.ts';
import { agentTable, defaultMetric, mainTable, nexthopID, worstMetric } from './ownership.ts';
import { ownAllocation, type Snapshot } from './snapshot.ts';
import { rangeRule, subnetRules } from './rules.ts';
import { routeKey, type Desired, type Link, type Route } from './state.ts';

/** The state after `agent cleanup`: nothing at all. */
export const nothing = (): Desired => ({
  tunnel: undefined,
  links: new Map(),
  ports: new Map(),
  neighbours: new Map(),
  fdb: new Map(),
  nexthops: new Map(),
  routes: new Map(),
  rules: new Set(),
  sets: new Map(),
  chains: { 4: [], 6: [] },
  failures: [],
});

/**
 * What the kernel of the snapshot's node should hold. Undefined while the node has no VTEP: then nothing is known, so
 * nothing is changed. (An allocation that was deleted by hand first comes back without blocks.)
 */
export function desired(snapshot: Snapshot): Desired | undefined {
  const own = ownAllocation(snapshot);
  if (own?.vtep === undefined) return undefined;
  const { vni, port, underlay, mtu } = snapshot.config;
  const outer = familyNamed(underlay);
  const local = own.addresses.find((address) => familyOf(address) === outer);
  const state = nothing();
  if (local === undefined) {
    const message = `the tunnel runs over ${underlay}, and this node has registered no ${underlay} address`;
    return { ...state, failures: [{ message }] };
  }

  state.tunnel = tunnelName(vni);
  state.links.set(state.tunnel, {
    name: state.tunnel,
    kind: 'vxlan',
    mtu,
    mac: own.vtep.mac,
    vxlan: { vni, port, local, learning: false },
    addresses: [own.vtep.ip, own.vtep.ip6].filter((address) => address !== undefined),
  });

  const networks = new Set(snapshot.networks.map(({ metadata }) => metadata.name));
  for (const link of bridges(snapshot.node, own, mtu)) {
    if (networks.has(link.network)) state.links.set(link.name, link);
  }
  for (const { metadata, spec } of snapshot.networks) {
    for (const { cidr } of spec.subnets) {
      for (const rule of subnetRules(cidr)) state.rules.add(rule);
      addRoute(state, { network: metadata.name, to: bare(cidr), table: mainTable, metric: worstMetric });
    }
  }
  // behind the rules of the overlays, to which most packets go
  for (const cidr of snapshot.config.vtepSubnets) state.rules.add(rangeRule(cidr));
  for (const { node, spec } of snapshot.allocations) {
    if (node !== snapshot.node) addPeer(state, spec, outer, networks);
  }
  const guarded = withLeftovers(snapshot);
  state.sets = desiredSets(guarded, own, outer);
  state.chains = desiredChains(guarded, own, outer, state.tunnel);
  const policy = policyOf(guarded, own);
  if (policy !== undefined) isolate(state, policy, state.tunnel);
  if (snapshot.apiServers === undefined) {
    const message =
      'isolation.allowAPIServer: where the API server listens is not known (EndpointSlice default/kubernetes)';
    for (const network of policy?.callers ?? []) state.failures.push({ network, message });
  }
  return state;
}

/** Adds the isolation rules, which come last in each chain. */
function isolate(state: Desired, policy: Policy, tunnel: string): void {
  state.policy = policy;
  for (const [name, set] of isolationSets(policy)) state.sets.set(name, set);
  const added = isolationChains(policy, tunnel);
  for (const family of judgedFamilies(policy))
    state.chains[family] = joinChains(state.chains[family], added[family]);
}

function addRoute(state: Desired, route: Route): void {
  state.routes.set(routeKey(route), route);
}

/** `m-<network>` with the gateway's addresses, as the standard CNI `bridge` plugin would make it. */
export function bridges(node: string, own: AgentAllocationSpec, mtu: number): (Link & { network: string })[] {
  return (own.networks ?? []).flatMap(({ name: network, subnets }) => {
    const halves = subnets.flatMap(({ bridges }) =>
      bridges?.cni === undefined ? [] : [parseCidr(bridges.cni)],
    );
    if (halves.length === 0) return [];
    const addresses = halves.map((half) => `${formatAddress(gateway(half))}/${half.length}`);
    const mac = macOf(`${node}/${network}`);
    if (halves.some(({ family }) => family === 6)) addresses.push(linkLocal(mac));
    return [{ name: cniBridge(network), network, kind: 'bridge', mtu, mac, addresses }];
  });
}

/**
 * A fixed MAC address. Without one, a bridge takes the lowest of its ports and changes it while containers use it.
 */
function macOf(name: string): string {
  return `02${(hash(name) >> 24n).toString(16).padStart(10, '0').slice(-10).replace(/../g, ':$&')}`;
}

/**
 * The EUI-64 link-local address, which neighbour discovery asks from (RFC 4861). Set by us it works at once. The
 * kernel would first check its own for duplicates, and a container's first packets would be lost.
 */
function linkLocal(mac: string): string {
  const bytes = mac.split(':').map((text) => parseInt(text, 16));
  const [first = 0, ...rest] = bytes;
  const id = [first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)];
  const value = id.reduce((sum, byte) => (sum << 8n) + BigInt(byte), 0xfe80n << 48n);
  return `${formatAddress({ family: 6, value })}/64`;
}

function addPeer(state: Desired, peer: AgentAllocationSpec, outer: Family, networks: Set<string>): void {
  const remote = peer.addresses.find((address) => familyOf(address) === outer);
  if (peer.vtep === undefined || remote === undefined) return;
  const { mac, ip, ip6 } = peer.vtep;
  state.fdb.set(mac, remote);
  const nexthops: Partial<Record<Family, number>> = {};
  for (const text of [ip, ip6]) {
    if (text === undefined) continue;
    const address = withoutLength(text);
    const id = nexthopID(address);
    nexthops[familyOf(address)] = id;
    state.neighbours.set(address, mac);
    state.nexthops.set(id, address);
  }
  for (const { name: network, subnets } of peer.networks ?? []) {
    if (!networks.has(network)) continue;
    for (const { cidr } of subnets) {
      const family = familyOf(cidr);
      // IPv4 may use an IPv6 gateway (RFC 8950); the kernel does not support the reverse
      const nexthop = nexthops[family] ?? nexthops[6];
      if (nexthop === undefined) {
        const message = `${cidr} cannot be reached: the configuration has no IPv6 VTEP subnet`;
        if (!state.failures.some((failure) => failure.network === network))
          state.failures.push({ network, message });
        continue;
      }
      addRoute(state, { network, to: bare(cidr), table: mainTable, metric: defaultMetric[family], nexthop });
    }
  }
  for (const to of peer.addresses) {
    const family = familyOf(to);
    const nexthop = nexthops[family];
    if (nexthop !== undefined)
      addRoute(state, { to, table: agentTable, metric: defaultMetric[family], nexthop });
  }
}

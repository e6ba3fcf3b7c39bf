import { desired } from '../dataplane/desired.ts';
import { membersPrefix, mainTable } from '../dataplane/ownership.ts';
import { ownAllocation, type Snapshot } from '../dataplane/snapshot.ts';
import { familyNamed, familyOf, withoutLength, type Family } from '../net/address.ts';
import { tunnelName } from '../net/name.ts';
import { overhead } from './paths.ts';
import type { FaultKind } from './wire.ts';

/** The entries that a node's kernel should have for one peer. */
export interface WantedOfPeer {
  tunnel: string;
  /** For each block of the peer: an address in it, and the VTEP that its route leads to. */
  routes: { to: string; via: string }[];
  /** The peer's VTEP addresses. */
  vteps: string[];
  mac: string;
  /** The peer's address on the underlay, to which the tunnel sends. */
  address: string;
  outer: Family;
  membersSet: string;
  /** Bytes of the largest packet on the underlay. */
  largest: number;
}

/** The route to an address, as `ip route get` prints it. */
export interface Way {
  link?: string;
  via?: string;
  /** The link's MTU, or a path MTU that a router has reported if that is smaller. */
  mtu?: number;
  /** Why there is no route. */
  why?: string;
}

/** The kernel's entries for one peer; undefined means that an entry was not read. */
export interface SeenOfPeer {
  tunnel: 'Up' | 'Down' | 'Missing' | undefined;
  /** By address: one in each block, the VTEPs, and the underlay address. */
  ways: ReadonlyMap<string, Way>;
  /** MACs of neighbour entries by VTEP; undefined if there is no entry. */
  macs: ReadonlyMap<string, string | undefined>;
  /** Underlay address to which frames for the wanted MAC go; empty if there is no entry. */
  destination: string | undefined;
  isMember: boolean | undefined;
  /** State of the neighbour entry of the peer's underlay address: `FAILED`, `REACHABLE`. */
  neighbour: string | undefined;
}

export interface Fault {
  kind: FaultKind;
  evidence: string;
}

/** Returns the wanted entries of one peer; undefined if one of the two nodes has no VTEP. */
export function wantedOf(snapshot: Snapshot, peer: string): WantedOfPeer | undefined {
  const own = ownAllocation(snapshot);
  const other = snapshot.allocations.find(({ node }) => node === peer);
  if (own === undefined || other?.spec.vtep === undefined || peer === snapshot.node) return undefined;
  const pair = snapshot.allocations.filter(({ node }) => node === snapshot.node || node === peer);
  const state = desired({ ...snapshot, allocations: pair });
  const outer = familyNamed(snapshot.config.underlay);
  const address = other.spec.addresses.find((one) => familyOf(one) === outer);
  if (state?.tunnel === undefined || address === undefined) return undefined;
  const routes = [...state.routes.values()].flatMap(({ to, table, nexthop }) => {
    const via = nexthop === undefined ? undefined : state.nexthops.get(nexthop);
    return via === undefined || table !== mainTable ? [] : [{ to: withoutLength(to), via }];
  });
  const { ip, ip6, mac } = other.spec.vtep;
  return {
    tunnel: tunnelName(snapshot.config.vni),
    routes,
    vteps: [ip, ip6].filter((text) => text !== undefined).map(withoutLength),
    mac,
    address,
    outer,
    membersSet: `${membersPrefix}${outer}`,
    largest: snapshot.config.mtu + overhead(outer),
  };
}

/** Compares the kernel's entries with the wanted ones. An entry that was not read is no fault. */
export function faultsOf(wanted: WantedOfPeer, seen: SeenOfPeer): Fault[] {
  const { tunnel } = wanted;
  if (seen.tunnel === 'Missing' || seen.tunnel === 'Down') {
    const evidence = `the tunnel's link ${tunnel} ${seen.tunnel === 'Down' ? 'is down' : 'does not exist'}`;
    return [{ kind: 'TunnelDown', evidence }];
  }
  return [...memberFaults(wanted, seen), ...entryFaults(wanted, seen), ...routeFaults(wanted, seen)];
}

/** Whether every wanted entry was read: otherwise the kernel may have a fault that was not seen. */
export function isRead({ routes, vteps }: WantedOfPeer, seen: SeenOfPeer): boolean {
  const { tunnel, ways, macs, destination, isMember } = seen;
  if (tunnel === undefined || destination === undefined || isMember === undefined) return false;
  return (
    [...routes.map(({ to }) => to), ...vteps].every((to) => ways.has(to)) && vteps.every((to) => macs.has(to))
  );
}

const memberFaults = ({ address, membersSet }: WantedOfPeer, { isMember }: SeenOfPeer): Fault[] =>
  isMember === false
    ? [
        {
          kind: 'NotAMember',
          evidence: `${address} is not in the set ${membersSet}: its tunnel packets are dropped`,
        },
      ]
    : [];

function entryFaults({ tunnel, mac, address }: WantedOfPeer, { macs, destination }: SeenOfPeer): Fault[] {
  const faults: Fault[] = [];
  const add = (evidence: string) => faults.push({ kind: 'MACMismatch', evidence });
  for (const [vtep, shown] of macs) {
    if (shown === undefined) add(`${tunnel} has no neighbour entry for ${vtep}, which should say ${mac}`);
    else if (shown !== mac)
      add(`the neighbour entry of ${vtep} on ${tunnel} says ${shown}, and should say ${mac}`);
  }
  if (destination === '')
    add(`${tunnel} has no forwarding entry for ${mac}, which should lead to ${address}`);
  else if (destination !== undefined && destination !== address)
    add(`the forwarding entry of ${mac} on ${tunnel} leads to ${destination}, and should lead to ${address}`);
  return faults;
}

function routeFaults({ tunnel, routes, vteps }: WantedOfPeer, { ways }: SeenOfPeer): Fault[] {
  return [...routes, ...vteps.map((to) => ({ to, via: undefined }))].flatMap(({ to, via }): Fault[] => {
    const way = ways.get(to);
    if (way === undefined) return [];
    if (way.why !== undefined)
      return [{ kind: 'RouteMissing', evidence: `no route leads to ${to}: ${way.why}` }];
    if (way.link === tunnel && (via === undefined || way.via === via)) return [];
    const shown = `${way.via === undefined ? '' : `via ${way.via} `}dev ${way.link ?? ''}`;
    const should = `${via === undefined ? '' : `via ${via} `}dev ${tunnel}`;
    return [{ kind: 'RouteMissing', evidence: `the route to ${to} is ${shown}, and should be ${should}` }];
  });
}

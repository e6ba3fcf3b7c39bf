import type { Family } from '../net/address.ts';
import type { Policy } from './policy.ts';

/** A VXLAN link or a bridge, as we want it. Owner of everything that hangs on it. */
export interface Link {
  name: string;
  /** The network that a bridge serves; the tunnel serves all. */
  network?: string;
  kind: 'vxlan' | 'bridge';
  mtu: number;
  mac: string;
  vxlan?: Vxlan;
  /** With prefix length: `44.128.0.2/20`. */
  addresses: string[];
}

/** What a VXLAN link is created with and cannot change later. */
export interface Vxlan {
  vni: number;
  port: number;
  local: string;
  learning: boolean;
}

/** A route of ours: through a nexthop object, or unreachable where `nexthop` is absent. */
export interface Route {
  network?: string;
  /** `9.0.1.0/24`; a host has no length, as iproute2 shows it. */
  to: string;
  table: number;
  metric: number;
  nexthop?: number;
}

export interface IPSet {
  family: Family;
  /** Addresses and subnets; an address has no length. */
  entries: Set<string>;
}

export type Table = 'nat' | 'mangle' | 'raw' | 'filter';

/** The built-in chain of nat that ours is jumped to from. */
export const natHook = 'POSTROUTING';

type Hook = 'PREROUTING' | 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING';

/**
 * A chain of ours, `OVERLAYNET-` and the built-in chain that jumps to it. Rules as `iptables-save` spells them. In nat
 * there is one alone: kube-proxy keeps tens of thousands of rules there, and nothing else of that table is read.
 */
export type Chain = { rules: string[] } & (
  | { table: 'nat'; hook: typeof natHook; last?: never }
  | {
      table: Exclude<Table, 'nat'>;
      hook: Hook;
      /** Jumped to after everyone else's rules, and called `…-LAST`; else before them. */
      last?: boolean;
    }
);

/** All that a node's kernel should hold of ours. */
export interface Desired {
  /** Name of the VXLAN link; undefined where nothing is wanted at all. */
  tunnel: string | undefined;
  links: Map<string, Link>;
  /** Containers' ports, as far as they are there → the bridge of each. */
  ports: Map<string, string>;
  /** Peer's VTEP address → its MAC; all on the tunnel, as are the next two. */
  neighbours: Map<string, string>;
  /** Peer's VTEP MAC → where to send the outer packet. */
  fdb: Map<string, string>;
  /** Nexthop id → peer's VTEP address. */
  nexthops: Map<number, string>;
  /** By `routeKey`. */
  routes: Map<string, Route>;
  /** Policy rules as `ip rule` takes them. */
  rules: Set<string>;
  sets: Map<string, IPSet>;
  chains: Record<Family, Chain[]>;
  /** What sets and chains say of isolation; absent where no network is isolated. */
  policy?: Policy;
  /** False where the kernel has no IPv6 at all, so that links have nothing of it to be set. */
  kernelIPv6?: boolean;
  /** What cannot be done, whatever the kernel says. */
  failures: Failure[];
}

/** A reason why a network does not work; without `network` it concerns all. */
export interface Failure {
  network?: string;
  message: string;
  /** No retry mends it: the node is made so. It is said, and holds up nothing else. */
  lasting?: true;
  /** Something of ours is there that should not be. It is said and tried again, and closes nothing. */
  leftover?: true;
  /** A rule or a set is not in place: isolated networks take no new containers meanwhile. */
  rules?: true;
}

/** A link as the kernel shows it, ours or not. */
export interface ObservedLink {
  name: string;
  ours: boolean;
  kind: string;
  mtu: number;
  mac: string;
  up: boolean;
  vxlan?: Vxlan;
  /** Of a bridge: it learns no address from frames that are for the bridge itself. */
  noControlLearning?: boolean;
  /** The bridge, or the like, that it is a port of, and whether that sends back to it what came from it. */
  master?: string;
  hairpin?: boolean;
  addresses: string[];
}

export interface ObservedNexthop {
  ours: boolean;
  via: string;
  link: string;
}

/** By table: our own chains, and what the built-in chains hold, in order. */
export type ObservedChains = Map<string, ObservedTable>;

export interface ObservedTable {
  /** Rules without `-A CHAIN`. */
  own: Map<string, string[]>;
  hooks: Map<string, string[]>;
}

/**
 * What of the kernel is looked at: `all`, or `links` and what hangs on them (addresses, neighbours, routes, routing
 * rules). Sets and rules of iptables cost what everybody's in the same tables cost.
 */
export type Scope = 'all' | 'links';

/** What the kernel shows; a part that could not be read is undefined, and then left alone. */
export interface Observed {
  links: Map<string, ObservedLink> | undefined;
  neighbours: Map<string, { mac: string; permanent: boolean }> | undefined;
  fdb: Map<string, { to: string; permanent: boolean }> | undefined;
  nexthops: Map<number, ObservedNexthop> | undefined;
  /** Ours alone. */
  routes: Map<string, Route> | undefined;
  /** Ours alone, per family. */
  rules: Record<Family, Set<string> | undefined>;
  /** Ours alone. */
  sets: Map<string, IPSet> | undefined;
}

/** What the kernel tells routes apart by. */
export const routeKey = ({ to, table, metric }: Route): string => `${to} ${table} ${metric}`;

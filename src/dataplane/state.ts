import type { Family } from '../net/address.ts';
import type { Policy } from './policy.ts';

/** A wanted VXLAN link or bridge. Everything on it is ours, too. */
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
  /** Set for a route that the kernel shows with our protocol number and of a kind that we never make. */
  altered?: true;
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

/** Everything of ours that a node's kernel should hold. */
export interface Desired {
  /** Name of the VXLAN link; undefined if nothing is wanted at all. */
  tunnel: string | undefined;
  links: Map<string, Link>;
  /** Existing ports of containers → the bridge of each. */
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
  /** The policy behind sets and chains; absent if no network is isolated. */
  policy?: Policy;
  /** False if the kernel has no IPv6 at all, so that links have no IPv6 settings. */
  kernelIPv6?: boolean;
  /** Failures that are known without asking the kernel. */
  failures: Failure[];
}

/** A reason why a network does not work; without `network` it concerns all networks. */
export interface Failure {
  network?: string;
  message: string;
  /** What was run: a command line, or the line of a batch. */
  command?: string;
  /** No retry can mend it, because of how the node is set up. It is reported and holds up nothing else. */
  lasting?: true;
  /** An object of ours is left that should be gone. This is reported and retried, and closes nothing. */
  leftover?: true;
  /** A rule or a set is missing: isolated networks accept no new containers meanwhile. */
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
  /** For a bridge: it learns no address from control frames addressed to the bridge itself. */
  noControlLearning?: boolean;
  /** The bridge that it is a port of, and whether that sends a port's frames back to it. */
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
 * The part of the kernel's state that is read: `all`, or `links` with addresses, neighbours, routes and routing rules.
 * Reading sets and iptables rules costs more, because the programs print everybody's.
 */
export type Scope = 'all' | 'links';

/** What the kernel shows; a part that could not be read is undefined, and then left alone. */
export interface Observed {
  links: Map<string, ObservedLink> | undefined;
  neighbours: Map<string, { mac: string; permanent: boolean }> | undefined;
  fdb: Map<string, { to: string; permanent: boolean }> | undefined;
  nexthops: Map<number, ObservedNexthop> | undefined;
  /** Only ours. */
  routes: Map<string, Route> | undefined;
  /** Only ours, per family. */
  rules: Record<Family, Set<string> | undefined>;
  /** Only ours. */
  sets: Map<string, IPSet> | undefined;
}

/** The key by which the kernel distinguishes routes. */
export const routeKey = ({ to, table, metric }: Route): string => `${to} ${table} ${metric}`;

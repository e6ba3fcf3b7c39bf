import type { Condition, KubeObject } from './meta.ts';

/** The address family of the tunnel's outer packets. */
export type Underlay = 'IPv4' | 'IPv6';

/** Singleton `default`: settings of the whole cluster. The API server fills in DC/OS's defaults. */
export interface OverlayConfig extends KubeObject {
  spec: OverlayConfigSpec;
  status?: OverlayConfigStatus;
}

export interface OverlayConfigSpec {
  /** At most one of each family, /8 or longer. */
  vtepSubnets: string[];
  /** Six octets, the last three zero: `70:B3:D5:00:00:00`. Kept as the user spelled it. */
  vtepMACOUI: string;
  vni: number;
  /** UDP port of the tunnel. */
  port: number;
  underlay: Underlay;
  /** MTU of tunnel and bridges in bytes; absent: what the uplinks of the first nodes leave, less 50 (IPv4) or 70 (IPv6). */
  mtu?: number;
  /** Comma list of network names. */
  defaultNetwork: string;
  /** Subnets of the nodes' own addresses; an address outside is refused. Absent: a Node keeps the addresses that it registered with. */
  nodeSubnets?: string[];
  /** Go duration: `10m`. */
  reuseCooldown: string;
  /** Go duration; absent: `5m`. The deletion of a network does not wait longer for a silent agent. */
  staleAfter?: string;
  /** Absent: agents do not probe by themselves. */
  probes?: ProbesConfig;
}

/** How agents probe other nodes by themselves. */
export interface ProbesConfig {
  /** In each round of a minute. */
  peers: number;
  /** Go duration; absent: `250ms`. The fastest answer through the tunnel that takes longer is slow. */
  slowAfter?: string;
}

/** What is in force since the first registration, and pinned while a network has blocks: in the ledger, copied here for agents. */
export interface PinnedConfig {
  vtepSubnets: string[];
  vtepMACOUI: string;
  vni: number;
  port: number;
  underlay: Underlay;
}

/** The values in force; mtu alone is not pinned. */
export interface EffectiveConfig extends PinnedConfig {
  mtu: number;
  defaultNetwork: string;
}

export interface OverlayConfigStatus {
  observedGeneration?: number;
  /** Absent until the first agent has registered. */
  effective?: EffectiveConfig;
  /** Present while the operator assumes that the data comes from a backup or that the ledger was lost: agents withdraw nothing. */
  restored?: Restoration;
  /** Present while a mass departure is not believed, and for ten minutes after it was confirmed. */
  departures?: Departures;
  /** Blocks that two agents say they hold; at most 32 are listed. */
  quarantined?: QuarantinedBlock[];
  /** Number of registered nodes; above 99 only the first two digits: 1200 for 1299. New networks are compared with it. */
  nodes?: number;
  conditions?: Condition[];
}

/**
 * Data that came back older than it was. Over once every Node has registered anew with the id and every network that
 * agents hold has its object, or once it is confirmed.
 */
export interface Restoration {
  /** What an agent repeats as `spec.restore`, and a person as the value of `overlaynet.dev/confirm-restore`. */
  id: string;
  since: string;
}

/** More than half of the nodes gone within a minute. */
export interface Departures {
  /** What a person repeats as the value of `overlaynet.dev/confirm-departures`. */
  id: string;
  since: string;
  /** When it was confirmed; absent while it is not believed. */
  confirmedAt?: string;
}

/** A block that more than one agent says it holds. */
export interface QuarantinedBlock {
  /** Empty for a VTEP. */
  network: string;
  /** The block, or the VTEP's address. */
  cidr: string;
  nodes: string[];
}

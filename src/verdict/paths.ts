import type { AgentAllocationSpec } from '../api/types.ts';
import { familyOf, withoutLength, type Family } from '../net/address.ts';

/** Where a packet travels. `underlay`: from node to node; `overlay`: through the tunnel, from VTEP to VTEP. */
export type Layer = 'underlay' | 'overlay';
/** `full`: the largest packet that the tunnel carries; on the underlay, such a packet with its encapsulation. */
export type Size = 'small' | 'full';

/** A path in short: `u4s` is underlay, IPv4, small; `o6f` is overlay, IPv6, full-size. */
export type Code = `${'u' | 'o'}${Family}${'s' | 'f'}`;

/** One kind of packet that a peer is probed with. */
export interface Path {
  code: Code;
  layer: Layer;
  family: Family;
  size: Size;
  /** Addresses without lengths. */
  from: string;
  to: string;
  /** Size of the IP packet. */
  bytes: number;
}

/** Size of a small packet: every link carries it, and an answer fits into it. */
export const smallBytes = 448;

/** Bytes that the tunnel adds to a packet: Ethernet 14, VXLAN 8, UDP 8, IPv4 20 or IPv6 40. */
export const overhead = (outer: Family): number => (outer === 4 ? 50 : 70);

/** Bytes of the IP and UDP headers. */
export const headerBytes = (family: Family): number => (family === 4 ? 28 : 48);

export const codes: readonly Code[] = (['u', 'o'] as const).flatMap((layer) =>
  ([4, 6] as const).flatMap((family) =>
    (['s', 'f'] as const).map((size): Code => `${layer}${family}${size}`),
  ),
);

export const isCode = (value: unknown): value is Code => codes.some((code) => code === value);

type Ends = Pick<AgentAllocationSpec, 'addresses' | 'vtep'>;

/** Returns the addresses of a node that probes come from and go to, by layer and family. */
export function endsOf({ addresses, vtep }: Ends): { layer: Layer; family: Family; address: string }[] {
  const vteps = [vtep?.ip, vtep?.ip6].filter((text) => text !== undefined).map(withoutLength);
  return [
    ...addresses.map((address) => ({ layer: 'underlay' as const, family: familyOf(address), address })),
    ...vteps.map((address) => ({ layer: 'overlay' as const, family: familyOf(address), address })),
  ];
}

/**
 * Returns every path from one node to another, those for small packets first.
 * @param tunnel its MTU, and the underlay's family
 */
export function pathsBetween(own: Ends, peer: Ends, tunnel: { mtu: number; outer: Family }): Path[] {
  const there = endsOf(peer);
  return (['small', 'full'] as const).flatMap((size) =>
    endsOf(own).flatMap(({ layer, family, address: from }) => {
      const to = there.find((one) => one.layer === layer && one.family === family)?.address;
      if (to === undefined) return [];
      const full = layer === 'overlay' ? tunnel.mtu : tunnel.mtu + overhead(tunnel.outer);
      const code: Code = `${layer === 'underlay' ? 'u' : 'o'}${family}${size === 'small' ? 's' : 'f'}`;
      return [{ code, layer, family, size, from, to, bytes: size === 'small' ? smallBytes : full }];
    }),
  );
}

import type { Family } from '../net/address.ts';
import { familyOf } from '../net/address.ts';

/**
 * Marks by which our kernel objects are recognised after a restart. An object without a mark is never changed or
 * removed.
 */

/** `ip link show`: alias of each link that we made. */
export const alias = 'overlaynet';

/** Protocol number of our routes, rules and nexthops (`/etc/iproute2/rt_protos` has no name for it). */
export const protocol = 142;

/** The table where packets from an overlay look up the agents' own addresses. */
export const agentTable = 42;

/** `main`; the kernel's own number. */
export const mainTable = 254;

/** The worst possible metric, so any other route to the destination is preferred. */
export const worstMetric = 4294967295;

/** The metric that Linux gives IPv6 routes without one, and shows. */
export const defaultMetric = { 4: 0, 6: 1024 } as const;

/** ipsets: `overlaynet-overlays-4`. */
export const setPrefix = 'overlaynet-';

export const setName = (name: string, family: Family): string => `${setPrefix}${name}-${family}`;

/** Prefix of the sets of nodes that may send through the tunnel. */
export const membersPrefix = `${setPrefix}members-`;

/** iptables chains: `OVERLAYNET-POSTROUTING`, jumped to from the chain of that name. */
export const chainPrefix = 'OVERLAYNET-';

/**
 * Bit of the packet mark for "came through the tunnel link". A packet to the tunnel's port that belongs to a socket
 * and lacks the mark is forged. kube-proxy uses 0x4000 and 0x8000, the portmap plugin 0x2000.
 */
export const tunnelMark = '0x1000/0x1000';

/** Bit of connection and packet marks that says "this connection came to an address of the node by an uplink". */
export const uplinkMark = '0x800/0x800';

/**
 * Matches packets that bear no mark but ours. Programs that masquerade selected packets, such as kube-proxy (0x4000)
 * and the portmap plugin (0x2000), mark them, and these marks are respected.
 */
export const unmarked = '0x0/0xffffe7ff';

/**
 * The id of a peer's nexthop object. A VTEP subnet is /8 or longer, or its index has at most 24 bits, so the low
 * three bytes of a VTEP address are unique within its family. The high byte keeps the families apart.
 */
export function nexthopID(vtepAddress: string): number {
  if (familyOf(vtepAddress) === 6) {
    const [high = '', low = ''] = vtepAddress.split(':').slice(-2);
    return 0x76000000 + ((parseInt(high || '0', 16) & 0xff) << 16) + parseInt(low || '0', 16);
  }
  const [, b = 0, c = 0, d = 0] = vtepAddress.split('.').map(Number);
  return 0x6f000000 + (b << 16) + (c << 8) + d;
}

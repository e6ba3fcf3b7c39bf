import type { Family } from '../net/address.ts';

/**
 * What tells our kernel objects from everyone else's after a restart. Nothing without these marks is ever
 * changed or removed.
 */

/** `ip link show`: alias of each link that we made. */
export const alias = 'overlaynet';

/** Routes, rules and nexthops carry it (`/etc/iproute2/rt_protos` names none of that number). */
export const protocol = 142;

/** Where packets from an overlay look up the agents' own addresses. */
export const agentTable = 42;

/** `main`; the kernel's own number. */
export const mainTable = 254;

/** The worst that there is: any other route to the destination comes first. */
export const worstMetric = 4294967295;

/** Linux gives IPv6 routes this one where none is named, and shows it. */
export const defaultMetric = { 4: 0, 6: 1024 } as const;

/** ipsets: `overlaynet-overlays-4`. */
export const setPrefix = 'overlaynet-';

export const setName = (name: string, family: Family): string => `${setPrefix}${name}-${family}`;

/** Of these, who may send through the tunnel. */
export const membersPrefix = `${setPrefix}members-`;

/** iptables chains: `OVERLAYNET-POSTROUTING`, jumped to from the chain of that name. */
export const chainPrefix = 'OVERLAYNET-';

/**
 * Bit of the packet mark that says "came through the tunnel link": a packet to the tunnel's port that a socket
 * owns and that lacks it is forged. kube-proxy has 0x4000 and 0x8000, the portmap plugin 0x2000.
 */
export const tunnelMark = '0x1000/0x1000';

/** Bit of connection and packet marks that says "this connection came to an address of the node by an uplink". */
export const uplinkMark = '0x800/0x800';

/**
 * "The packet bears no mark but ours", as iptables matches it. Who masquerades some packets and not others, as kube-proxy
 * (0x4000) and the portmap plugin (0x2000) do, marks those: such a mark is respected.
 */
export const unmarked = '0x0/0xffffe7ff';

/**
 * A peer's nexthop object. A VTEP subnet is /8 or longer, or its index at most 24 bits, so that the low three
 * bytes of a VTEP address tell it from every other of its family; the high byte keeps the families apart.
 */
export function nexthopID(vtepAddress: string): number {
  if (vtepAddress.includes(':')) {
    const [high = '', low = ''] = vtepAddress.split(':').slice(-2);
    return 0x76000000 + ((parseInt(high || '0', 16) & 0xff) << 16) + parseInt(low || '0', 16);
  }
  const [, b = 0, c = 0, d = 0] = vtepAddress.split('.').map(Number);
  return 0x6f000000 + (b << 16) + (c << 8) + d;
}

import { block, blockCount, formatCidr, parseCidr, type Cidr } from '../net/cidr.ts';
import { hash32 } from '../dataplane/hash.ts';

/** Reserved space (RFC 1112, section 4), so overlays, VTEP subnets and agent addresses may not lie in it. */
const space = parseCidr('240.0.0.0/5');

/** A Linux bridge has at most 1,023 ports, so a container never lacks one of these unused addresses. */
const prefix = 21;

/**
 * Chooses the IPv4 subnet of an IPv6-only network. Engines before Docker 28 need one. It comes from 240.0.0.0/5 by a
 * hash of the network's name; if another network has that subnet, the next free one is taken. The bridge has no
 * address in it, so there is no route to it.
 * @param taken subnets of this node's other networks; the returned one is added
 */
export function emptyPool(network: string, taken: Set<string>): Cidr {
  const count = blockCount(space, prefix);
  for (let index = hash32(network) % count; ; index = (index + 1) % count) {
    const pool = block(space, prefix, index);
    if (taken.has(formatCidr(pool))) continue;
    taken.add(formatCidr(pool));
    return pool;
  }
}

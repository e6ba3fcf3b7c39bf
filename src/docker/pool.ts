import { block, blockCount, formatCidr, parseCidr, type Cidr } from '../net/cidr.ts';
import { hash32 } from '../dataplane/hash.ts';

/** Reserved (RFC 1112, section 4), and for that no overlay, VTEP subnet or agent's address may lie in it. */
const space = parseCidr('240.0.0.0/5');

/** A Linux bridge has at most 1,023 ports, so that never a container lacks an address that nobody uses. */
const prefix = 21;

/**
 * The IPv4 subnet of an IPv6-only network, for engines before Docker 28, which cannot do without: from 240.0.0.0/5 by
 * the network's name, and the next free one where another network has it. Its bridge bears no address of it, so no
 * route leads there or away.
 * @param taken those of this node's other networks; the one returned is added
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

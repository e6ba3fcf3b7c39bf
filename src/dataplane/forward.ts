import type { Family } from '../net/address.ts';
import { linkPrefix } from '../net/name.ts';
import type { Chain } from './state.ts';
import { setName } from './ownership.ts';

const cni = `${linkPrefix.cni}+`;
const docker = `${linkPrefix.docker}+`;

/**
 * Where a firewall's FORWARD chain drops by default (Docker sets that policy, ufw too), packets of overlays pass
 * all the same. Two chains, so that no more is opened than that:
 *
 * - At the head, ahead of Docker's isolation of its networks from each other and from everyone else: overlay to
 *   overlay, and what came through the tunnel. Which network may speak with which is for the mangle table to say,
 *   whether Docker made their bridges or not. Nobody else begins anything with a container of Docker's but by a
 *   published port: from Docker 28 on its own rules would let everyone (the mode "nat-unprotected", without which they
 *   drop what comes through the tunnel).
 * - At the end, so that everyone else's rules come first: containers to the outside, the replies, and what was sent
 *   to a published port.
 *
 * Sources count only on the links where they belong: a packet from elsewhere that bears one is no overlay's.
 */
export function forwardChains(family: Family, tunnel: string): Chain[] {
  const overlay = (side: 'src' | 'dst') => `-m set --match-set ${setName('overlays', family)} ${side}`;
  const state = (states: string) => `-m conntrack --ctstate ${states}`;
  return [
    {
      table: 'filter',
      hook: 'FORWARD',
      rules: [
        `-i ${tunnel} ${overlay('dst')} -j ACCEPT`,
        `-i ${cni} ${overlay('src')} ${overlay('dst')} -j ACCEPT`,
        `-i ${docker} ${overlay('src')} ${overlay('dst')} -j ACCEPT`,
        `! -i ${docker} -o ${docker} ${overlay('dst')} -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP`,
      ],
    },
    {
      table: 'filter',
      hook: 'FORWARD',
      last: true,
      rules: [
        `-i ${cni} ${overlay('src')} -j ACCEPT`,
        `-i ${docker} ${overlay('src')} -j ACCEPT`,
        `${overlay('src')} ${state('RELATED,ESTABLISHED')} -j ACCEPT`,
        `${overlay('dst')} ${state('RELATED,ESTABLISHED,DNAT')} -j ACCEPT`,
        // never routed: neighbour discovery inside a bridge, where br_netfilter shows it to ip6tables
        ...(family === 6 ? [`-s fe80::/10 -i ${cni} -j ACCEPT`, `-s fe80::/10 -i ${docker} -j ACCEPT`] : []),
      ],
    },
  ];
}

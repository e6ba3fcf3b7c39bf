import type { Family } from '../net/address.ts';
import { linkPrefix } from '../net/name.ts';
import type { Chain } from './state.ts';
import { setName } from './ownership.ts';

const cni = `${linkPrefix.cni}+`;
const docker = `${linkPrefix.docker}+`;

/**
 * Lets packets of overlays pass where a firewall's FORWARD chain drops by default (Docker sets that policy, and so
 * does ufw). There are two chains, so that nothing more is opened:
 *
 * - At the head, ahead of Docker's isolation of its networks: packets from overlay to overlay, and what came through
 *   the tunnel. The mangle table decides which networks may talk with each other, no matter which program made their bridges. Only
 *   published ports of Docker containers are reachable from outside; Docker ≥ 28 in nat-unprotected mode, without which
 *   it drops what comes through the tunnel, would otherwise allow everything.
 * - At the end, so that the rules of other programs come first: packets from containers to the outside, their
 *   replies, and packets to published ports.
 *
 * Source addresses count only on the links where they belong. A packet from elsewhere with such a source is not an
 * overlay's.
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
        // never routed: neighbour discovery inside a bridge, which br_netfilter shows to ip6tables
        ...(family === 6 ? [`-s fe80::/10 -i ${cni} -j ACCEPT`, `-s fe80::/10 -i ${docker} -j ACCEPT`] : []),
      ],
    },
  ];
}

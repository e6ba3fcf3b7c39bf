import { familyOf } from '../net/address.ts';
import { ruleFamily } from './rules.ts';
import type { Desired, Route } from './state.ts';

/** Why a node has no IPv6. */
export interface NoIPv6 {
  /** The reason in words: `net.ipv6.conf.default.disable_ipv6 is 1`. */
  why: string;
  /** The kernel has no IPv6 at all, so its IPv6 tools fail too. Otherwise IPv6 is switched off. */
  absent: boolean;
}

const isIPv4 = (text: string): boolean => familyOf(text) === 4;

/**
 * Reduces a state to what a node without IPv6 can hold; IPv4 networks work as before. Each network that it cannot
 * carry completely gives a failure, which no retry can mend. IPv6 sets and rules stay if the kernel knows them, so
 * that they are in place when IPv6 is switched on.
 */
export function withoutIPv6(state: Desired, { why, absent }: NoIPv6): Desired {
  const nexthops = new Map([...state.nexthops].filter(([, via]) => isIPv4(via)));
  const carried = ({ to, nexthop }: Route) => isIPv4(to) && (nexthop === undefined || nexthops.has(nexthop));
  const routes = [...state.routes];
  const lost = routes.flatMap(([, route]) => (carried(route) ? [] : (route.network ?? [])));
  const { policy } = state;
  return {
    ...state,
    ...(absent ? { kernelIPv6: false } : {}),
    links: new Map(
      [...state.links].map(([name, link]) => [name, { ...link, addresses: link.addresses.filter(isIPv4) }]),
    ),
    neighbours: new Map([...state.neighbours].filter(([address]) => isIPv4(address))),
    nexthops,
    routes: new Map(routes.filter(([, route]) => carried(route))),
    rules: new Set([...state.rules].filter((rule) => ruleFamily(rule) === 4)),
    ...(absent
      ? {
          sets: new Map([...state.sets].filter(([, { family }]) => family === 4)),
          chains: { 4: state.chains[4], 6: [] },
        }
      : {}),
    ...(absent && policy !== undefined
      ? { policy: { ...policy, subnets: policy.subnets.filter(({ cidr }) => isIPv4(cidr)) } }
      : {}),
    failures: [
      ...state.failures,
      ...[...new Set(lost)].map((network) => ({
        network,
        message: `this node has no IPv6 (${why}) and carries nothing of the network that needs it`,
        lasting: true as const,
      })),
    ],
  };
}

import { familyOf } from '../net/address.ts';
import { ruleFamily } from './rules.ts';
import type { Desired, Route } from './state.ts';

/** Why a node carries no IPv6. */
export interface NoIPv6 {
  /** In words: `net.ipv6.conf.default.disable_ipv6 is 1`. */
  why: string;
  /** The kernel has none at all, so that its tools for IPv6 fail, too; else it is switched off. */
  absent: boolean;
}

const isIPv4 = (text: string): boolean => familyOf(text) === 4;

/**
 * What a node without IPv6 should hold of a state: its IPv4 networks are carried as ever. Of each network that it
 * cannot carry, or not all of it, a failure says so; no retry mends that. Sets and rules of IPv6 stay as long as the kernel knows
 * them, so that they stand when somebody switches IPv6 on.
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

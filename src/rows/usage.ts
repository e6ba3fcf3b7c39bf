import type { Containerizer, LedgerSpace, OverlayAgent } from '../api/types.ts';
import { familyOf, readable } from '../net/address.ts';
import { overlaps, parseCidr } from '../net/cidr.ts';
import type { SpaceUsage } from './row.ts';

type Space = Pick<LedgerSpace, 'network' | 'cidr'>;

/** Returns how full the nodes' blocks are, by subnet, as agents last reported. */
export function usageBySpace(
  spaces: readonly Space[],
  agents: Iterable<OverlayAgent>,
): Map<string, SpaceUsage[]> {
  const places = new Places(spaces);
  const sums = new Map<string, Map<Containerizer, SpaceUsage>>();
  for (const { status } of agents)
    for (const { name, usage = [] } of status?.networks ?? [])
      for (const { cidr, containerizer, addresses, used } of usage) {
        const space = places.of(name, cidr);
        if (space === undefined) continue;
        const parts = sums.get(space) ?? new Map<Containerizer, SpaceUsage>();
        const sum = parts.get(containerizer) ?? { containerizer, addresses: 0, used: 0 };
        sum.addresses = Math.min(Number.MAX_SAFE_INTEGER, sum.addresses + addresses);
        sum.used = Math.min(Number.MAX_SAFE_INTEGER, sum.used + used);
        sums.set(space, parts.set(containerizer, sum));
      }
  return new Map(
    [...sums].map(([space, parts]) => [
      space,
      [...parts.values()].sort((a, b) => (a.containerizer < b.containerizer ? -1 : 1)),
    ]),
  );
}

/** Finds the subnet that contains a part of a block. */
class Places {
  readonly #spaces = new Map<string, string[]>();

  constructor(spaces: readonly Space[]) {
    for (const { network, cidr } of spaces) {
      if (network === '') continue;
      const key = this.#key(network, cidr);
      this.#spaces.set(key, [...(this.#spaces.get(key) ?? []), cidr]);
    }
  }

  of(network: string, part: string): string | undefined {
    const spaces = this.#spaces.get(this.#key(network, part)) ?? [];
    // most networks have one subnet of a family, so that few of 100,000 parts need parsing
    if (spaces.length < 2) return spaces[0];
    return spaces.find((cidr) => readable(() => overlaps(parseCidr(cidr), parseCidr(part))) === true);
  }

  readonly #key = (network: string, cidr: string): string => `${network} ${familyOf(cidr)}`;
}

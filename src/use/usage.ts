import type { AddressUsage, AllocatedNetwork, Containerizer } from '../api/types.ts';
import type { NodeUsage } from '../api/usage.ts';
import { parseAddress } from '../net/address.ts';
import { addressesFor, containsAddress, parseCidr } from '../net/cidr.ts';

/** The addresses that this node's containers have, by network; undefined if they are unknown. */
export interface TakenAddresses {
  cni: (network: string) => readonly string[] | undefined;
  docker: (network: string) => readonly string[] | undefined;
}

/**
 * Counts how much of this node's blocks is used.
 * @param before the last count, which stays where the addresses are unknown
 */
export function usageOf(
  allocated: readonly AllocatedNetwork[],
  taken: TakenAddresses,
  before: NodeUsage = new Map(),
): NodeUsage {
  return new Map(
    allocated.map(({ name, subnets }) => {
      const count = (
        containerizer: Containerizer,
        cidr: string | undefined,
        addresses: readonly string[] | undefined,
      ) => {
        if (cidr === undefined) return [];
        const old = before.get(name)?.find((one) => one.cidr === cidr && one.containerizer === containerizer);
        if (addresses === undefined) return old ?? [];
        return counted(cidr, containerizer, addresses);
      };
      const [cni, docker] = [taken.cni(name), taken.docker(name)];
      const parts = subnets.flatMap(({ bridges }) => [
        ...[count('CNI', bridges?.cni, cni)].flat(),
        ...[count('Docker', bridges?.docker, docker)].flat(),
      ]);
      return [name, parts];
    }),
  );
}

function counted(cidr: string, containerizer: Containerizer, taken: readonly string[]): AddressUsage {
  const part = parseCidr(cidr);
  const addresses = addressesFor(part.family, part.length);
  const inside = taken.filter((address) => containsAddress(part, parseAddress(address))).length;
  const used = Math.min(addresses, inside);
  return { cidr, containerizer, addresses, used, free: addresses - used };
}

/**
 * Whether the change is large enough to update the status: a part appeared or disappeared, another tenth is reached, the
 * network's `warnAt` is crossed, or a part became full or is no longer full. Otherwise each container would cause a write.
 */
export function isWorthReporting(
  reported: NodeUsage,
  measured: NodeUsage,
  warnAt: (network: string) => number,
): boolean {
  const text = (usage: NodeUsage) =>
    JSON.stringify(
      [...usage].map(([name, parts]) => [
        name,
        parts.map(({ cidr, containerizer, addresses, used, free }) => [
          cidr,
          containerizer,
          Math.floor((used * 10) / addresses),
          used * 100 >= warnAt(name) * addresses,
          free === 0,
        ]),
      ]),
    );
  return text(reported) !== text(measured);
}

/** `dcos 9.0.1.0/25 (CNI): 125 of 125 used; …` */
export const usageText = (usage: NodeUsage): string =>
  [...usage]
    .flatMap(([name, parts]) =>
      parts.map(
        ({ cidr, containerizer, addresses, used }) =>
          `${name} ${cidr} (${containerizer}): ${used} of ${addresses} used`,
      ),
    )
    .join('; ');

import type { OverlayAgent } from '../api/types.ts';
import { isAddress, parseAddress } from '../net/address.ts';
import { containsAddress, parseCidr } from '../net/cidr.ts';
import type { NodeFacts, Refusal, View } from './view.ts';

/**
 * Its value, on a node's AgentAllocation, confirms addresses that the node did not register with: a comma list. No
 * kubelet and no agent can write it.
 */
export const confirmAddresses = 'overlaynet.dev/confirm-addresses';

/** The address spaces in use, for the check that a node's own address is in none of them. */
export interface TakenSpace {
  cidr: string;
  /** Whose it is, in words: `network dcos`. */
  whose: string;
}

/** A stolen token must not claim a peer's FDB entry: only addresses that the Node itself states are taken. */
export function own(
  view: View,
  node: NodeFacts,
  { spec }: OverlayAgent,
  checked: readonly string[],
): Refusal | 'unread' | undefined {
  if (spec.addresses.every((address) => checked.includes(address))) return undefined;
  const stated = view.nodeAddresses.get(node.name);
  if (stated === undefined) return 'unread';
  const stray = spec.addresses.find((address) => !stated.includes(address));
  if (stray === undefined) return undefined;
  return {
    reason: 'NotNodeAddress',
    message: `spec.addresses: ${stray} is not an address of Node ${node.name}, which states ${stated.join(', ') || 'none'}`,
  };
}

export function conflict(
  view: View,
  { spec }: OverlayAgent,
  node: NodeFacts,
  owner: ReadonlyMap<string, string>,
  unread: Set<string>,
): Refusal | 'unread' | undefined {
  for (const address of spec.addresses) {
    const other = owner.get(address);
    // the addresses of a Node that is gone are free, whatever still stands in its allocation
    if (other === undefined || other === node.name || !view.nodes.has(other)) continue;
    const stated = view.nodeAddresses.get(other);
    if (stated === undefined) {
      unread.add(other);
      return 'unread';
    }
    if (stated.includes(address)) {
      return {
        reason: 'AddressConflict',
        message: `spec.addresses: ${address} is registered by node ${other} already`,
      };
    }
  }
  return undefined;
}

export function overlap(
  { spec }: OverlayAgent,
  spaces: readonly (TakenSpace & { parsed: ReturnType<typeof parseCidr> })[],
): Refusal | undefined {
  for (const address of spec.addresses) {
    const parsed = parseAddress(address);
    const hit = spaces.find((space) => containsAddress(space.parsed, parsed));
    if (hit !== undefined) {
      return {
        reason: 'AddressOverlap',
        message: `spec.addresses: ${address} lies in ${hit.cidr} of ${hit.whose}`,
      };
    }
  }
  return undefined;
}

const inside = (nodeSubnets: readonly string[]) => {
  const subnets = nodeSubnets.map(parseCidr);
  return (text: string): boolean => {
    const address = parseAddress(text);
    return subnets.some((subnet) => containsAddress(subnet, address));
  };
};

/**
 * What is believed of the addresses that a node says it has beside the registered ones. Nothing is routed there, and
 * nothing but networks with `hosts: Deny` is kept from them: so nobody else has to state them, and only where it is said
 * where nodes have their addresses, others count as the outside.
 */
export function believed(
  { spec }: OverlayAgent,
  nodeSubnets: readonly string[] | undefined,
): readonly string[] | undefined {
  const stated = spec.furtherAddresses?.filter(isAddress) ?? [];
  const further = nodeSubnets === undefined ? stated : stated.filter(inside(nodeSubnets));
  return further.length === 0 ? undefined : further;
}

/** Why an address is not one that a node may have at all. */
export function outside(
  { spec }: OverlayAgent,
  nodeSubnets: readonly string[] | undefined,
): Refusal | undefined {
  if (nodeSubnets === undefined) return undefined;
  const isInside = inside(nodeSubnets);
  const stray = spec.addresses.find((text) => !isInside(text));
  if (stray === undefined) return undefined;
  return {
    reason: 'OutsideNodeSubnets',
    message: `spec.addresses: ${stray} lies in none of spec.nodeSubnets of OverlayConfig, ${nodeSubnets.join(', ')}`,
  };
}

/**
 * Tells why an address that is new for a Node is not believed. The Node's own kubelet states its addresses. An attacker
 * on the node can state any address, and would get what all pods send to it. So what a Node first registers with is pinned to its
 * uid, in its AgentAllocation. A later one counts at once where nodeSubnets holds it, so that a node that moves is found
 * within seconds; else, and where API servers listen there, once a person confirms it.
 * @param pinned addresses of this Node that are in force
 */
export function unproven(
  { allocations, apiServers }: Pick<View, 'allocations' | 'apiServers'>,
  { metadata, spec }: OverlayAgent,
  pinned: readonly string[],
  nodeSubnets: readonly string[] | undefined,
): Refusal | undefined {
  if (pinned.length === 0) return undefined;
  const { name } = metadata;
  const confirmed = allocations.get(name)?.metadata.annotations?.[confirmAddresses]?.split(',') ?? [];
  const added = spec.addresses.filter((address) => !pinned.includes(address) && !confirmed.includes(address));
  const remedy =
    `if that is right: kubectl annotate --overwrite agentallocation ${name} ` +
    `${confirmAddresses}=${spec.addresses.join()}`;
  const served = added.find((address) => apiServers.includes(address));
  if (served !== undefined) {
    return {
      reason: 'APIServerAddress',
      message: `spec.addresses: API servers listen at ${served}, which Node ${name} did not register with; ${remedy}`,
    };
  }
  const [first] = added;
  if (first === undefined || nodeSubnets !== undefined) return undefined;
  return {
    reason: 'AddressChanged',
    message:
      `spec.addresses: ${first} is new, Node ${name} registered with ${pinned.join(', ')}, and OverlayConfig has no ` +
      `spec.nodeSubnets, in which a node may move; ${remedy}`,
  };
}

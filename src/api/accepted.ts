import type { NetworkSubnet, OverlayNetwork } from './types.ts';

/**
 * The subnets of a network that the operator has accepted: those that its status counts. An entry that was refused
 * (`Accepted=False` says why) does not take the others with it.
 */
export function acceptedSubnets(network: Pick<OverlayNetwork, 'spec' | 'status'>): NetworkSubnet[] {
  const counted = new Set(network.status?.capacity?.map(({ cidr }) => cidr));
  return network.spec.subnets.filter(({ cidr }) => counted.has(cidr));
}

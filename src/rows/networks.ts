import { acceptedSubnets } from '../api/accepted.ts';
import type { Condition, OverlayNetwork, SubnetCapacity } from '../api/types.ts';
import type { Entry } from './entry.ts';
import { inForce } from './isolation.ts';
import type { NetworkRow } from './row.ts';
import type { World } from './world.ts';

export function networkEntries({ networks, allocations }: World): Entry<NetworkRow>[] {
  return networks.map((network) => {
    const row = networkRow(network);
    const { name } = row;
    const isOn = (node: string) =>
      allocations.get(node)?.spec.networks?.some((allocated) => allocated.name === name) ?? false;
    return {
      row,
      key: name,
      isOf: { network: (wanted) => wanted === name, node: isOn },
      words: () => [name, row.state, row.isolation, ...row.containerizers],
      ranges: () => row.subnets.map(({ cidr }) => cidr),
    };
  });
}

export function networkRow(network: OverlayNetwork): NetworkRow {
  const { metadata, spec, status } = network;
  const accepted = new Set(acceptedSubnets(network).map(({ cidr }) => cidr));
  const removed = new Set(
    status?.draining?.filter(({ state }) => state === 'Removed').map(({ cidr }) => cidr),
  );
  return {
    name: metadata.name,
    ...stateOf(network),
    subnets: spec.subnets.map(({ cidr, prefix, state }) => ({
      cidr,
      prefix,
      state: accepted.has(cidr) ? state : removed.has(cidr) ? 'Removed' : 'Refused',
    })),
    containerizers: [...spec.containerizers],
    ...inForce(spec.isolation),
    agents: { ...(status?.agents ?? { allocated: 0, ready: 0, failed: 0, waiting: 0 }) },
    fill: Math.max(0, ...(status?.capacity ?? []).map(fillOf)),
    conditions: [...(status?.conditions ?? [])],
    created: metadata.creationTimestamp ?? '',
  };
}

/** Returns a percentage, rounded down; 100 only if no block is free. */
const fillOf = ({ blocks, free }: SubnetCapacity): number =>
  blocks === 0 ? 0 : Math.floor(((blocks - free) / blocks) * 100);

const conditionOf = (conditions: readonly Condition[] | undefined, type: string): Condition | undefined =>
  conditions?.find((one) => one.type === type);

function stateOf({ spec, status }: OverlayNetwork): Pick<NetworkRow, 'state' | 'message'> {
  const [accepted, ready] = ['Accepted', 'Ready'].map((type) => conditionOf(status?.conditions, type));
  if (!spec.enabled) return { state: 'Disabled', message: '' };
  if (accepted === undefined || ready === undefined)
    return { state: 'Waiting', message: 'the operator has not looked at it yet' };
  const waits = conditionOf(status?.conditions, 'Reconciling')?.status === 'True';
  if (accepted.status !== 'True') {
    const none = (status?.capacity ?? []).length === 0;
    return { state: waits ? 'Waiting' : none ? 'Refused' : 'NotReady', message: accepted.message };
  }
  if (ready.status === 'True') return { state: 'Ready', message: '' };
  return { state: waits ? 'Waiting' : 'NotReady', message: ready.message };
}

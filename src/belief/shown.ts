import type { AgentAllocationSpec, OverlayNetwork } from '../api/types.ts';

/**
 * Whether AgentAllocations show every block that the ledger has given out, as the operator counts them in the networks'
 * status. An agent that did not run while a node was released sees no other trace of that: an AgentAllocation that was
 * lost still has its blocks in the ledger. False where the operator has not counted, or there is no network.
 */
export function isAllShown(
  networks: readonly OverlayNetwork[],
  allocations: readonly AgentAllocationSpec[],
): boolean {
  const shown = new Map<string, number>();
  for (const spec of allocations) {
    for (const { name, subnets } of spec.networks ?? []) {
      shown.set(name, (shown.get(name) ?? 0) + subnets.length);
    }
  }
  return (
    networks.length > 0 &&
    networks.every(({ metadata: { name }, status }) => {
      const given = status?.capacity?.reduce(
        (sum, { held, releasing, quarantined }) => sum + held + releasing + quarantined,
        0,
      );
      return given !== undefined && given <= (shown.get(name) ?? 0);
    })
  );
}

import type { AgentAllocation } from '../api/types.ts';

/**
 * Nodes whose AgentAllocation the operator emptied, as it does before it deletes one. The informer keeps the set up
 * to date. A new AgentAllocation is empty, too, but that means nothing, because it may replace one that was lost.
 */
export function releasedNodes(allocations: Changing): Set<string> {
  const released = new Set<string>();
  allocations.onChange((name, object, old) => {
    const spec = (object ?? old)?.spec;
    if (spec !== undefined && spec.vtep === undefined && spec.revision > 1) released.add(name);
    else released.delete(name);
  });
  return released;
}

/** The parts of an informer that this needs. */
interface Changing {
  onChange: (
    listener: (name: string, object: AgentAllocation | undefined, old: AgentAllocation | undefined) => void,
  ) => void;
}

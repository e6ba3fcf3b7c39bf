import type { AgentAllocation } from '../api/types.ts';

/**
 * Nodes whose AgentAllocation the operator emptied, as it does before it deletes one; kept up to date by the informer.
 * One that was made just now is empty, too, and says nothing: it may be in place of one that was lost.
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

/** What it needs of an informer. */
interface Changing {
  onChange: (
    listener: (name: string, object: AgentAllocation | undefined, old: AgentAllocation | undefined) => void,
  ) => void;
}

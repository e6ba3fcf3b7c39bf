import { version, type Reads, type View } from './view.ts';

/** Whether every AgentAllocation was written after that resourceVersion, so that no write planned before it can succeed. */
export function allWrittenSince(view: View, at: number, reads: Reads): boolean {
  if (view.allocationsAt < at) {
    reads.allocations = true;
    return false;
  }
  for (const object of view.allocations.values()) if (version(object) <= at) return false;
  return true;
}

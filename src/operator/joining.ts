import type { AgentAllocation, KubeObject } from '../api/types.ts';
import type { Informer } from '../kube/informer.ts';

/** The two caches that it follows, and whether all are complete. */
interface Followed {
  synced: boolean;
  agents: Pick<Informer<KubeObject>, 'onChange'>;
  allocations: Pick<Informer<AgentAllocation>, 'onChange' | 'get'>;
}

/**
 * Measures the time from when an agent's registration is seen to when the tunnel endpoint that it got is seen. Agents
 * that were there when this process began to follow are not measured.
 * @param onAllocated called once for each agent, with seconds
 * @param now milliseconds
 */
export function followJoining(
  caches: Followed,
  onAllocated: (seconds: number) => void,
  now: () => number = () => performance.now(),
): void {
  const since = new Map<string, number>();
  caches.agents.onChange((name, object, old) => {
    if (object === undefined) since.delete(name);
    else if (old === undefined && caches.synced && caches.allocations.get(name)?.spec.vtep === undefined)
      since.set(name, now());
  });
  caches.allocations.onChange((name, object) => {
    const at = since.get(name);
    if (at === undefined || object?.spec.vtep === undefined) return;
    since.delete(name);
    onAllocated((now() - at) / 1_000);
  });
}

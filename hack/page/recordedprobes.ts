import type { PeerRow } from '../../src/rows/probe.ts';
import type { World } from '../../src/rows/world.ts';

/** The probes of one node's agent: all peers answer, but for the first one, which is slow, and a few that were not probed yet. */
export function recordedProbes(
  { allocations, now }: Pick<World, 'allocations' | 'now'>,
  node: string,
): PeerRow[] {
  const at = new Date(now - 40_000).toISOString();
  return [...allocations.keys()]
    .filter((peer) => peer !== node)
    .map((peer, index): PeerRow => {
      if (index % 9 === 8) return { node, peer, is: 'Unprobed', evidence: '', remedy: '', at: '', since: '' };
      const said = { node, peer, at, since: at, underlayMs: 0.4 + index / 50, overlayMs: 0.5 + index / 40 };
      return index > 0
        ? { ...said, is: 'OK', evidence: '', remedy: '' }
        : {
            ...{ ...said, underlayMs: 212, overlayMs: 214 },
            ...{ is: 'Wrong', verdict: 'Slow' },
            evidence: 'the fastest of 3 answers took 212 ms',
            remedy: 'look for a full link or a busy machine between the nodes',
          };
    });
}

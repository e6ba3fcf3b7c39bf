import type { Snapshot } from '../../src/dataplane/snapshot.ts';
import { Prober } from '../../src/probe/prober.ts';
import { Rounds } from '../../src/probe/rounds.ts';

/** What an agent without `spec.probes` has: it probes when it is asked to. */
export const roundsOf = (node: string, snapshot: () => Snapshot | undefined): Rounds =>
  new Rounds({
    node,
    version: '0.1.0',
    prober: new Prober({ port: 9181, snapshot, steps: () => 0, metrics: { probed: () => undefined } }),
    settings: () => undefined,
    onVerdicts: () => undefined,
    onFinding: () => undefined,
  });

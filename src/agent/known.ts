import { idleNetworks, networksInForce } from '../belief/snapshot.ts';
import type { Known } from '../containers/choose.ts';
import { closedNetworks } from '../containers/closed.ts';
import type { CNIFiles } from '../containers/cni.ts';
import { pause } from '../kube/wait.ts';
import { brief, failureText } from '../report/status.ts';
import type { Caches } from './caches.ts';
import type { Judge } from './judge.ts';
import type { Pass } from './pass.ts';

/** What the agent knows when it answers the CNI plugin: the last pass, and the networks that were added or removed since. */
export class Knowledge {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** What to answer from. As long as the data path was never complete, a text that says what is missing. */
  get now(): Known | string {
    const { pass, caches } = this.#parts;
    const { complete, snapshot, applied } = pass;
    if (!complete || snapshot === undefined || applied === undefined) return this.#awaited;
    const failed = new Map(this.closed);
    if (!caches.networks.hasSynced) return { snapshot, idle: undefined, failed };
    const networks = caches.networks.list();
    const inForce = new Set(networksInForce(networks).map(({ metadata }) => metadata.name));
    for (const name of inForce) {
      if (!applied.networks.has(name)) failed.set(name, 'it has just come');
    }
    return { snapshot, idle: idleNetworks(networks, inForce), failed };
  }

  /**
   * The same as `now`. An agent that has just started first waits for its first pass, at most `waitMs`: a runtime that
   * gets "try again later" asks again only after seconds.
   */
  async settled(waitMs: number): Promise<Known | string> {
    const { pass } = this.#parts;
    if (pass.applied === undefined && pass.wanted !== undefined) {
      const slow = new AbortController();
      await Promise.race([pass.first, pause(waitMs, slow.signal)]);
      slow.abort();
    }
    return this.now;
  }

  /** Networks that take no new containers, and why. */
  get closed(): ReadonlyMap<string, string> {
    const { pass, cni } = this.#parts;
    return closedNetworks(pass.snapshot?.networks ?? [], pass.applied?.failures ?? [], cni.owned);
  }

  get #awaited(): string {
    const { caches, judge, pass } = this.#parts;
    const { problems } = caches;
    if (judge.missing !== undefined) return judge.missing;
    if (pass.applied !== undefined) return brief(pass.applied.failures.map(failureText));
    return problems.length > 0 ? problems.join('; ') : 'the first pass over the kernel has not ended';
  }
}

interface Parts {
  pass: Pick<Pass, 'applied' | 'snapshot' | 'complete' | 'wanted' | 'first'>;
  caches: Pick<Caches, 'networks' | 'problems'>;
  judge: Pick<Judge, 'missing'>;
  cni: Pick<CNIFiles, 'owned'>;
}

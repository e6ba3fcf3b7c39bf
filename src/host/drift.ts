import { monitor } from '../linux/monitor.ts';
import type { Log } from '../log.ts';
import type { Scope } from '../dataplane/state.ts';

/** Reports of the kernel come in bursts, our own changes' among them. */
const settleMs = 300;

/**
 * On a busy node links and neighbours change all the time: looking at them takes at most a 20th of the time, however
 * long it takes, and comes at the next resync at the latest. A report after a quiet time is looked at at once.
 */
const restFactor = 20;

/** How often a cheap look tells whether somebody flushed our rules, and the rest after that happened: two may fight. */
const guardMs = { between: 5_000, afterLoss: 30_000 };

/** What it needs of the agent. */
interface Reconciled {
  reconcile: (scope?: Scope) => void;
  /** The last look at links alone: what it took, and when it ended, by the monotonic clock. */
  readonly looked: { ms: number; endedAt: number };
}

/**
 * Has the agent look at kernel and files every `resyncMs`, and at links soon after the kernel reports a change of them:
 * no such report says anything of sets and rules of iptables, which cost much to read. Whether those were flushed is seen
 * in between.
 * @param options.guarded whether the rules are there still
 */
export function watchDrift(
  agent: Reconciled,
  options: {
    resyncMs: number;
    guarded: () => Promise<boolean>;
    /** For tests. */
    betweenMs?: number;
    log: Log;
    command?: [string, ...string[]];
  },
): { stop: () => void } {
  const { resyncMs, guarded, betweenMs = guardMs.between, ...rest } = options;
  let soon: NodeJS.Timeout | undefined;
  const restMs = () => {
    const { ms, endedAt } = agent.looked;
    return Math.min(resyncMs, endedAt + ms * restFactor - performance.now());
  };
  const changes = monitor(() => {
    soon ??= setTimeout(
      () => {
        soon = undefined;
        agent.reconcile('links');
      },
      Math.max(settleMs, restMs()),
    );
  }, rest);
  const resync = setInterval(() => {
    agent.reconcile();
  }, resyncMs);
  let guard: NodeJS.Timeout | undefined;
  let stopped = false;
  const watchRules = (afterMs: number) => {
    if (stopped) return;
    guard = setTimeout(() => {
      void guarded().then((there) => {
        if (!there && !stopped) {
          rest.log.warn('rules are gone from iptables; putting them back');
          agent.reconcile();
        }
        watchRules(there ? betweenMs : guardMs.afterLoss);
      });
    }, afterMs);
  };
  watchRules(betweenMs);
  return {
    stop: () => {
      stopped = true;
      clearTimeout(guard);
      changes.stop();
      clearInterval(resync);
      clearTimeout(soon);
    },
  };
}

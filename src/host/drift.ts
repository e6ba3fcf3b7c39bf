import { monitor } from '../linux/monitor.ts';
import type { Log } from '../log.ts';
import type { Scope } from '../dataplane/state.ts';

/** Delay before looking, because the kernel's reports come in bursts, also about our own changes. */
const settleMs = 300;

/**
 * How links are looked at. On a busy node links and neighbours change all the time, so looking at them takes at most
 * a 20th of the time, however long it takes, and happens at the next resync at the latest. A report after a quiet
 * time is handled at once.
 */
const restFactor = 20;

/**
 * Sets, rules and files have no reports. They are compared as often as this share of the time allows: a comparison that
 * takes 0.1 s runs every 5 s, and one beside 30,000 rules of kube-proxy at every resync.
 */
const compareFactor = 50;

/**
 * How often a cheap check looks for flushed rules where a comparison is not due, and the pause after it found some, because two programs may fight.
 */
const guardMs = { between: 5_000, afterLoss: 30_000 };

/** What it needs of the agent. */
interface Reconciled {
  reconcile: (scope?: Scope) => void;
  /** The last look at links alone: what it took, and when it ended, by the monotonic clock. */
  readonly looked: Look;
  /** The last complete comparison. */
  readonly compared: Look;
}

interface Look {
  ms: number;
  endedAt: number;
}

/**
 * Makes the agent check kernel and files every `resyncMs`, and links soon after the kernel reports a change of them.
 * These reports do not cover sets, rules of iptables and files. Where they are cheap to read they are compared
 * every few seconds; otherwise a cheap check finds out whether the rules were flushed.
 * @param options.guarded whether the rules are still there
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
  const isDue = () => {
    const { ms, endedAt } = agent.compared;
    return endedAt > -Infinity && performance.now() >= endedAt + ms * compareFactor;
  };
  let guard: NodeJS.Timeout | undefined;
  let stopped = false;
  const watchRules = (afterMs: number) => {
    if (stopped) return;
    guard = setTimeout(() => {
      if (isDue()) {
        agent.reconcile();
        watchRules(betweenMs);
        return;
      }
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

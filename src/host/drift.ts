import { monitor } from '../linux/monitor.ts';
import type { Fault, Log } from '../log.ts';
import type { Scope } from '../dataplane/state.ts';

/** Delay before looking, because the kernel's reports come in bursts, also about our own changes. */
const settleMs = 300;

/**
 * How links are looked at. On a busy node links and neighbours change all the time, so looking at them costs at most
 * a 20th of a processor, however much one look costs, and happens at the next resync at the latest. A report after a quiet
 * time is handled at once.
 */
const restFactor = 20;

/**
 * Sets, rules and files have no reports. They are compared as often as this share of a processor allows: a comparison that
 * costs 0.1 s of one runs every 5 s, and one with 30,000 rules of kube-proxy at every resync. It is not the time that
 * counts: other programs that keep the processors busy would put off repairs.
 */
const compareFactor = 50;

/**
 * How often a cheap check looks for flushed rules where a comparison is not due, and the pause after it found some, because two programs may fight.
 */
const guardMs = { between: 5_000, afterLoss: 30_000 };

/** The parts of the agent that it needs. */
interface Reconciled {
  reconcile: (scope?: Scope) => void;
  /** The last look at links alone: the milliseconds of a processor that it cost, and when it ended, by the monotonic clock. */
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
 * @param options.loss which rule is gone, if the rules were flushed
 */
export function watchDrift(agent: Reconciled, options: DriftOptions): { stop: () => void } {
  const { resyncMs, loss, betweenMs = guardMs.between, ...rest } = options;
  const links = watchLinks(agent, resyncMs, rest);
  const rules = watchRules(agent, { loss, betweenMs, log: rest.log });
  const resync = setInterval(() => {
    agent.reconcile();
  }, resyncMs);
  return {
    stop: () => {
      rules.stop();
      links.stop();
      clearInterval(resync);
    },
  };
}

interface DriftOptions {
  resyncMs: number;
  loss: () => Promise<Fault | undefined>;
  /** For tests. */
  betweenMs?: number;
  log: Log;
  command?: [string, ...string[]];
}

function watchLinks(
  agent: Reconciled,
  resyncMs: number,
  options: Pick<DriftOptions, 'log' | 'command'>,
): { stop: () => void } {
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
  }, options);
  return {
    stop: () => {
      changes.stop();
      clearTimeout(soon);
    },
  };
}

function watchRules(
  agent: Reconciled,
  { loss, betweenMs, log }: Pick<DriftOptions, 'loss' | 'log'> & { betweenMs: number },
): { stop: () => void } {
  const isDue = () => {
    const { ms, endedAt } = agent.compared;
    return endedAt > -Infinity && performance.now() >= endedAt + ms * compareFactor;
  };
  let guard: NodeJS.Timeout | undefined;
  let stopped = false;
  const watch = (afterMs: number) => {
    if (stopped) return;
    guard = setTimeout(() => {
      if (isDue()) {
        agent.reconcile();
        watch(betweenMs);
        return;
      }
      void loss().then((found) => {
        if (found !== undefined && !stopped) {
          log.warn('rules are gone from iptables; putting them back', found);
          agent.reconcile();
        }
        watch(found === undefined ? betweenMs : guardMs.afterLoss);
      });
    }, afterMs);
  };
  watch(betweenMs);
  return {
    stop: () => {
      stopped = true;
      clearTimeout(guard);
    },
  };
}

import { monitor } from '../linux/monitor.ts';
import type { Log } from '../log.ts';
import type { Agent } from './agent.ts';

/** Reports of the kernel come in bursts, our own changes' among them. */
const settleMs = 300;

/**
 * On a busy node links and neighbours change all the time: looking at them takes at most a 20th of the time, however
 * long it takes, and comes at the next resync at the latest. A report after a quiet time is looked at at once.
 */
const restFactor = 20;

/**
 * Has the agent look at kernel and files every `resyncMs`, and at links soon after the kernel reports a change of them:
 * no such report says anything of sets and rules of iptables, which cost much to read.
 */
export function watchDrift(
  agent: Pick<Agent, 'reconcile' | 'looked'>,
  options: { resyncMs: number; log: Log; command?: [string, ...string[]] },
): { stop: () => void } {
  const { resyncMs, ...rest } = options;
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
  return {
    stop: () => {
      changes.stop();
      clearInterval(resync);
      clearTimeout(soon);
    },
  };
}

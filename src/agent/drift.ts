import { monitor } from '../linux/monitor.ts';
import type { Log } from '../log.ts';
import type { Agent } from './agent.ts';

/** Reports of the kernel come in bursts, our own changes' among them. */
const settleMs = 300;

/** On a busy node neighbours change all the time: looking takes at most a 20th of the time, but comes within 2 s. */
const restFactor = 20;
const latestMs = 2_000;

/** Has the agent look at kernel and files every `resyncMs`, and soon after the kernel reports a change. */
export function watchDrift(
  agent: Pick<Agent, 'reconcile' | 'passMs'>,
  options: { resyncMs: number; log: Log; command?: [string, ...string[]] },
): { stop: () => void } {
  const { resyncMs, ...rest } = options;
  let soon: NodeJS.Timeout | undefined;
  const changes = monitor(() => {
    soon ??= setTimeout(
      () => {
        soon = undefined;
        agent.reconcile();
      },
      Math.max(settleMs, Math.min(latestMs, agent.passMs * restFactor)),
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

import { watchDrift } from '../../../src/agent/drift.ts';
import { silent } from '../../../src/log.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let stop: () => void = () => undefined;
afterEach(() => {
  stop();
});

/** An agent that counts how often it is asked to look; `script` stands for `ip monitor`. */
function watched(script: string, options: { resyncMs?: number; passMs?: number } = {}) {
  const agent = {
    passMs: options.passMs ?? 0,
    looks: 0,
    reconcile: () => {
      agent.looks++;
    },
  };
  ({ stop } = watchDrift(agent, {
    resyncMs: options.resyncMs ?? 60_000,
    log: silent,
    command: ['sh', '-c', script],
  }));
  return agent;
}
const until = async (check: () => boolean) => {
  for (const end = Date.now() + 4_000; !check() && Date.now() < end;) await pause(20);
  expect(check()).toBe(true);
};

test('a burst of reports from the kernel is one look', async () => {
  const agent = watched('for i in 1 2 3 4 5; do echo link; done; exec sleep 9');
  await until(() => agent.looks > 0);
  await pause(500);
  expect(agent.looks).toBe(1);
});

test('where a look takes long, the next waits longer', async () => {
  const agent = watched('echo link; exec sleep 9', { passMs: 200 });
  await pause(1_000);
  expect(agent.looks).toBe(0);
});

test('without a report it looks at every resync, and after stop no more', async () => {
  const agent = watched('exec sleep 9', { resyncMs: 100 });
  await until(() => agent.looks > 2);
  stop();
  const { looks } = agent;
  await pause(300);
  expect(agent.looks).toBe(looks);
});

import { watchDrift } from '../../../src/host/drift.ts';
import { silent } from '../../../src/log.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let stop: () => void = () => undefined;
afterEach(() => {
  stop();
});

/** An agent that counts how often it is asked to look; `script` stands for `ip monitor`. */
function watched(
  script: string,
  options: {
    resyncMs?: number;
    lookMs?: number;
    ago?: number;
    compareMs?: number;
    guarded?: () => boolean;
  } = {},
) {
  const agent = {
    compared: { ms: options.compareMs ?? 60_000, endedAt: performance.now() },
    looked: { ms: options.lookMs ?? 0, endedAt: performance.now() - (options.ago ?? 0) },
    looks: 0,
    at: new Set<string>(),
    reconcile: (scope = 'all') => {
      agent.looks++;
      agent.at.add(scope);
    },
  };
  ({ stop } = watchDrift(agent, {
    resyncMs: options.resyncMs ?? 60_000,
    guarded: () => Promise.resolve(options.guarded?.() ?? true),
    betweenMs: 50,
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

test('a report of the kernel has links looked at, and not the rules of everybody; the resync has all', async () => {
  const reported = watched('echo link; exec sleep 9');
  await until(() => reported.looks > 0);
  expect([...reported.at]).toEqual(['links']);
  stop();
  const resynced = watched('exec sleep 9', { resyncMs: 100 });
  await until(() => resynced.looks > 0);
  expect([...resynced.at]).toEqual(['all']);
});

test('the rest between looks grows with what one costs, without a limit but the resync', async () => {
  const agent = watched('echo link; exec sleep 9', { lookMs: 1_000 });
  await pause(3_000);
  expect(agent.looks).toBe(0);
});

test('after a quiet time a report is looked at at once, whatever a look costs', async () => {
  const agent = watched('echo link; exec sleep 9', { lookMs: 1_000, ago: 20_000 });
  await until(() => agent.looks > 0);
});

test('without a report it looks at every resync, and after stop no more', async () => {
  const agent = watched('exec sleep 9', { resyncMs: 100 });
  await until(() => agent.looks > 2);
  stop();
  const { looks } = agent;
  await pause(300);
  expect(agent.looks).toBe(looks);
});

test('rules that are gone have all looked at, once for a while: somebody else may take them away each time', async () => {
  let asked = 0;
  const agent = watched('exec sleep 9', { guarded: () => ++asked < 3 });
  await until(() => agent.looks > 0);
  expect([...agent.at]).toEqual(['all']);
  await pause(500);
  expect([agent.looks, asked]).toEqual([1, 3]);
});

test('what is cheap to compare is compared again and again, and what is not at the resync alone', async () => {
  const cheap = watched('exec sleep 9', { compareMs: 2 });
  await until(() => cheap.looks > 2);
  expect([...cheap.at]).toEqual(['all']);
  stop();
  const dear = watched('exec sleep 9', { compareMs: 100 });
  await pause(1_000);
  expect(dear.looks).toBe(0);
});

test('an agent that has not compared yet is not told to', async () => {
  const agent = watched('exec sleep 9');
  agent.compared = { ms: 0, endedAt: -Infinity };
  await pause(500);
  expect(agent.looks).toBe(0);
});

import { say } from '../../../../hack/parts/progress.ts';
import { aWhile, entries, leaderOf, red, settle, shown, until, type Story } from '../scene.ts';

/** With fewer nodes, the sleeper finishes before its caches have caught up. */
const nodes = 200;

/** Updates that the leader makes before it falls asleep, and the number that is in progress meanwhile. */
const before = 30;

/**
 * The events that once broke the promise: a leader falls asleep in the middle of a network's roll-out. Another one
 * completes it, takes blocks back and gives them to new nodes. Then the first one wakes with the rest of its writes
 * still in its queue.
 */
export const sleeper: Story = {
  name: 'a leader sleeps in the middle of a roll-out',
  catches: ['a write is guarded by what the cache shows when it is sent'],
  // the second leader must stay the only one, even on a busy machine
  lease: { duration: 8_000, deadline: 7_000, retry: 300 },
  async tell(arena) {
    const { cluster } = arena;
    await settle(arena, nodes);
    const first = leaderOf(arena);
    const asleep = Promise.withResolvers<undefined>();
    let passed = 0;
    first.proxy.ambush = {
      moment: 'sent',
      matches: (write) => write === 'update agentallocations' && ++passed > before,
      spring: (): Promise<void> => {
        first.stop();
        asleep.resolve(undefined);
        return Promise.resolve();
      },
    };
    await cluster.apply('red', red);
    await asleep.promise;
    say('the leader sleeps');
    const done = await shown(arena, 'red');
    const waiting = [...cluster.machines.keys()].filter((name) => !done.has(name));
    // the last ones in its queue: before it reaches them, its caches have caught up
    const losers = waiting.slice(Math.floor(waiting.length / 2));
    if (losers.length === 0) throw new Error('the leader had done all before it slept');
    // these have blocks in the ledger, but not yet in an AgentAllocation: the other leader withdraws them by one write
    await Promise.all(losers.map((name) => cluster.label(name, { role: 'b' })));
    const count = nodes - losers.length;
    await until(arena, 'the other finishes it', async () => (await shown(arena, 'red')).size === count);
    await until(arena, 'blocks are taken back', async () => (await entries(arena)).size === count);
    await cluster.join(losers.length, () => ({ role: 'a' }));
    await until(
      arena,
      `${losers.length} are given to new nodes`,
      async () => (await shown(arena, 'red')).size === nodes,
    );
    first.wake();
    await aWhile(arena, 3_000);
  },
};

import { setTimeout as sleep } from 'node:timers/promises';
import { allocationOf, aWhile, entries, leaderOf, longLease, rollOut, settle, until } from '../scene.ts';
import type { Story } from '../scene.ts';

/** Time in ms until the leader's cache has an edited label, on a busy machine too. */
const learnMs = 2_500;

/**
 * Within one run of its leader, a node loses its block, gets the same one back, and loses it again. The first
 * withdrawal must not count for the second.
 */
export const backAndForth: Story = {
  name: 'a node loses a block, gets it back and loses it again',
  catches: ['evidence of a withdrawal outlives the mark that it is of'],
  lease: longLease,
  async tell(arena) {
    const { cluster } = arena;
    await settle(arena, 4);
    await rollOut(arena, 4);
    const { proxy } = leaderOf(arena);
    const isUpdate = (method: string, path: string) =>
      method === 'PUT' && allocationOf('ovt-0')(method, path);
    // the run continues while one of its writes is in progress
    const withdrawn = proxy.hold('answer', isUpdate);
    await cluster.label('ovt-0', { role: 'b' });
    await until(arena, 'the block is withdrawn', () => withdrawn.count > 0);
    await cluster.label('ovt-0', { role: 'a' });
    await sleep(learnMs);
    const back = proxy.hold('answer', isUpdate);
    withdrawn.release();
    await until(arena, 'the node has it back', () => back.count > 0);
    await cluster.label('ovt-0', { role: 'b' });
    await sleep(learnMs);
    const again = proxy.hold('request', isUpdate);
    back.release();
    await until(arena, 'it is being withdrawn again', () => again.count > 0);
    await aWhile(arena, 1_500);
    again.release();
    await until(
      arena,
      'the block is free',
      async () => ![...(await entries(arena)).values()].includes('ovt-0'),
    );
    await aWhile(arena, 0);
  },
};

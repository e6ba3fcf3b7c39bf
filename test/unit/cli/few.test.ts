import { setTimeout } from 'node:timers/promises';
import { fewAtOnce } from '../../../src/cli/few.ts';

test('at most so many tasks run at once, and results have the order of the items', async () => {
  let running = 0;
  let most = 0;
  const results = await fewAtOnce([30, 1, 20, 1, 1], 2, async (ms, at) => {
    most = Math.max(most, ++running);
    await setTimeout(ms);
    running--;
    return `${at}: ${ms}`;
  });
  expect(results).toEqual(['0: 30', '1: 1', '2: 20', '3: 1', '4: 1']);
  expect(most).toBe(2);
});

test('after an error no further task starts', async () => {
  const started: number[] = [];
  const run = fewAtOnce([0, 1, 2, 3, 4], 2, async (item) => {
    started.push(item);
    await setTimeout(1);
    if (item === 1) throw new Error('one fails');
    await setTimeout(20);
  });
  await expect(run).rejects.toThrow('one fails');
  await setTimeout(50);
  expect(started).toEqual([0, 1]);
});

import { setTimeout as sleep } from 'node:timers/promises';
import { spentMs } from '../../../src/linux/spent.ts';
import { run } from '../../../src/linux/run.ts';

test('the processor time of programs counts, and waiting does not', async () => {
  const start = spentMs();
  await run('sh', ['-c', 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done']);
  const worked = spentMs() - start;
  expect(worked).toBeGreaterThanOrEqual(50);
  const before = spentMs();
  await run('sleep', ['1']);
  await sleep(1_000);
  expect(spentMs() - before).toBeLessThan(1_000);
});

import { bundled } from '../../hack/build.ts';
import { run } from '../chaos/allocation/run.ts';

test('thirty rounds of faults and manual changes break no rule at any revision, and the cluster converges', async () => {
  // a fixed seed, so that a failure can be repeated; `npm run chaos` tries new ones
  const seed = 11;
  const bundle = await bundled('operator');
  const outcome = await run({ rounds: 30, restEvery: 30, seed, operators: 2, nodes: 40, bundle });
  const violations = outcome.violations.map(({ rule, what }) => `${rule}: ${what}`);
  // `npm run chaos -- allocation --seed N` repeats it
  expect({ seed, violations }).toEqual({ seed, violations: [] });
  expect(outcome.rounds).toBe(30);
  expect(outcome.changes).toBeGreaterThan(200);
}, 240_000);

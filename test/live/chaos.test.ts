import { operatorBundle } from '../chaos/allocation/bundle.ts';
import { run } from '../chaos/allocation/run.ts';

test('thirty rounds of faults and hands break no rule at any revision, and all converges', async () => {
  // always the same actions, so that a run that fails can be looked into; new ones are what `npm run chaos` is for
  const seed = 11;
  const bundle = await operatorBundle();
  const outcome = await run({ rounds: 30, restEvery: 30, seed, operators: 2, nodes: 40, bundle });
  const violations = outcome.violations.map(({ rule, what }) => `${rule}: ${what}`);
  // `npm run chaos -- allocation --seed N` does the same once more
  expect({ seed, violations }).toEqual({ seed, violations: [] });
  expect(outcome.rounds).toBe(30);
  expect(outcome.changes).toBeGreaterThan(200);
}, 240_000);

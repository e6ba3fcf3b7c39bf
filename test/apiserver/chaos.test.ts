import { operatorBundle } from '../../hack/chaos/allocation/bundle.ts';
import { run } from '../../hack/chaos/allocation/run.ts';

test('thirty rounds of faults and hands break no rule at any revision, and all converges', async () => {
  const seed = Math.floor(Math.random() * 1_000_000);
  const bundle = await operatorBundle();
  // where the ledger's index is lost, blocks of a network's former shape are given once more: docs/allocation.md
  const without = 'spaces';
  const outcome = await run({ rounds: 30, restEvery: 30, seed, operators: 2, nodes: 40, without, bundle });
  const violations = outcome.violations.map(({ rule, what }) => `${rule}: ${what}`);
  // `npm run chaos -- allocation --seed N` does the same once more
  expect({ seed, violations }).toEqual({ seed, violations: [] });
  expect(outcome.rounds).toBe(30);
  expect(outcome.changes).toBeGreaterThan(200);
}, 240_000);

import { beforeAll, describe, expect, test } from '@jest/globals';
import { mutations } from '../../support/simulation/mutations.ts';
import { renderFigures, renderOutcome, Simulation } from '../../support/simulation/simulate.ts';

/** On a free core it is more than three hundred histories; on a busy machine fewer. */
const playedMs = 10_000;

describe('operators on an API server in memory', () => {
  let simulation: Simulation;
  beforeAll(async () => {
    simulation = await Simulation.load();
  });

  test('the same seed gives the same history, whatever was played before it', async () => {
    const seeds = [1, 2, 3, 4];
    const first = [];
    for (const seed of seeds) first.push((await simulation.play(seed)).hash);
    const again = [];
    for (const seed of seeds.toReversed()) again.unshift((await simulation.play(seed)).hash);
    expect(again).toEqual(first);
    expect(new Set(first).size).toBe(seeds.length);
  });

  // one operator is killed in the moment in which another begins to lead: the dead one took the other's timers with it
  test('an operator that is killed ends alone', async () => {
    const outcome = await simulation.play(8_101_029, { trouble: { reservations: true } });
    expect(renderOutcome(outcome)).toContain('every rule holds');
  });

  test('no two nodes share a block, even when operators sleep or die or a person edits objects, and in the end all is as it should be', async () => {
    const figures = await simulation.playMany({ histories: 300, seed: 1, forMs: playedMs });
    process.stderr.write(renderFigures(figures));
    expect(figures.broken.map(renderOutcome)).toEqual([]);
    expect(figures.histories).toBeGreaterThan(5);
  });
});

describe('an operator that is broken on purpose', () => {
  test.each(mutations)('$name: is caught', async ({ name, edits, needs, seed = 1 }) => {
    const simulation = await Simulation.load(edits);
    const trouble = {
      hands: needs === 'hands',
      finalizers: needs === 'finalizers',
      reservations: needs === 'reservations',
    };
    const figures = await simulation.playMany({ histories: 400, seed, trouble, untilFirst: true });
    process.stderr.write(
      `${name}: ${figures.broken.length > 0 ? 'caught' : 'not caught'} after ${figures.histories} histories\n`,
    );
    const [outcome] = figures.broken;
    expect(outcome).toBeDefined();
    expect(renderOutcome(outcome!)).toContain(`seed ${outcome!.seed}`);
  });

  test('that cannot be broken that way any more is an error, not a pass', async () => {
    const edits = [{ file: 'src/operator/writer.ts', find: 'this was never there', replace: '' }];
    await expect(Simulation.load(edits)).rejects.toThrow('has 0 times, not once: "this was never there"');
    const elsewhere = [{ file: 'src/agent/main.ts', find: 'x', replace: '' }];
    await expect(Simulation.load(elsewhere)).rejects.toThrow('is no part of the program');
  });
});

import { mutations } from '../support/simulation/mutations.ts';
import { renderFigures, renderOutcome, Simulation } from '../support/simulation/simulate.ts';

/** The maximum number of histories until a broken operator must be caught. */
const most = 2_000;

/**
 * `npm run chaos -- simulation [HISTORIES [SEED]]` plays histories of the real operator's code on an API server in
 * memory. Then it does so with operators that are broken on purpose, to test the test. Returns whether all is as
 * expected.
 */
export async function simulation(argv: readonly string[]): Promise<boolean> {
  const [histories = 2_000, seed = 1] = argv.map(Number);
  if (!Number.isInteger(histories) || !Number.isInteger(seed) || argv.length > 2)
    throw new Error(`"${argv.join(' ')}" is not a number of histories and a seed`);
  const figures = await (await Simulation.load()).playMany({ histories, seed });
  const [first] = figures.broken;
  process.stdout.write(renderFigures(figures));
  if (first !== undefined) process.stdout.write(renderOutcome(first));
  let ok = first === undefined;
  for (const { name, edits, needs } of mutations) {
    const broken = await Simulation.load(edits);
    const trouble = {
      hands: needs === 'hands',
      finalizers: needs === 'finalizers',
      reservations: needs === 'reservations',
    };
    const caught = await broken.playMany({ histories: most, seed, trouble, untilFirst: true });
    const isCaught = caught.broken.length > 0;
    ok &&= isCaught;
    process.stdout.write(
      `${name}: ${isCaught ? 'caught' : 'NOT CAUGHT'} after ${caught.histories} histories\n`,
    );
  }
  return ok;
}

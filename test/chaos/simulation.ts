import { mutations } from '../support/simulation/mutations.ts';
import { renderFigures, renderOutcome, Simulation } from '../support/simulation/simulate.ts';

/** Most histories that an operator broken on purpose may need before it is caught. */
const most = 2_000;

/**
 * `npm run chaos -- simulation [HISTORIES [SEED]]`: plays histories of the real operator's code on an API server in
 * memory, then, as a test of that test, of operators broken on purpose. Tells whether all is as it should be.
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
    const trouble = { hands: needs === 'hands', finalizers: needs === 'finalizers' };
    const caught = await broken.playMany({ histories: most, seed, trouble, untilFirst: true });
    const isCaught = caught.broken.length > 0;
    ok &&= isCaught;
    process.stdout.write(
      `${name}: ${isCaught ? 'caught' : 'NOT CAUGHT'} after ${caught.histories} histories\n`,
    );
  }
  return ok;
}

import { mutations } from '../../test/support/simulation/mutations.ts';
import { renderFigures, renderOutcome, Simulation } from '../../test/support/simulation/simulate.ts';

/** Most histories that an operator broken on purpose may need before it is caught. */
const most = 2_000;

/**
 * Plays histories of the real operator's code on an API server in memory, then, as a test of that test, of operators
 * broken on purpose. Writes figures, and what broke a rule, to `say`; returns whether all is as it should be.
 */
export async function simulate(
  histories: number,
  seed: number,
  say: (text: string) => void,
): Promise<boolean> {
  const figures = await (await Simulation.load()).playMany({ histories, seed });
  const [first] = figures.broken;
  say(renderFigures(figures));
  if (first !== undefined) say(renderOutcome(first));
  let ok = first === undefined;
  for (const { name, edits, needs } of mutations) {
    const broken = await Simulation.load(edits);
    const trouble = { hands: needs === 'hands', finalizers: needs === 'finalizers' };
    const caught = await broken.playMany({ histories: most, seed, trouble, untilFirst: true });
    const isCaught = caught.broken.length > 0;
    ok &&= isCaught;
    say(`${name}: ${isCaught ? 'caught' : 'NOT CAUGHT'} after ${caught.histories} histories\n`);
  }
  return ok;
}

import { Clock } from './clock.ts';
import { History, type Outcome, type Slot, type Trouble } from './history.ts';
import { loadProgram } from './program.ts';
import type { Edit } from './patching.ts';
import { Random } from './random.ts';
import type { Kind } from './violation.ts';

/** Operators at once, at most. */
const slotCount = 3;

/** The operator's code, loaded once, and histories played with it. */
export class Simulation {
  readonly #clock = new Clock();
  #random = new Random(0);
  readonly #slots: Slot[];

  private constructor(slots: Slot[]) {
    this.#slots = slots;
  }

  /** @param edits what is broken in it on purpose */
  static async load(edits: readonly Edit[] = []): Promise<Simulation> {
    const make = await loadProgram(edits);
    const slots: Slot[] = [];
    const simulation = new Simulation(slots);
    for (let at = 0; at < slotCount; at++) {
      const slot: Slot = { current: { name: '', skewMs: 0 } } as Slot;
      slot.program = make(simulation.#clock.surroundings(() => slot.current, () => simulation.#random));
      slots.push(slot);
    }
    return simulation;
  }

  /** The same seed gives the same history. */
  async play(seed: number, ignored: readonly Kind[] = [], only: Partial<Trouble> = {}): Promise<Outcome> {
    this.#random = new Random(seed);
    this.#clock.reset();
    const trouble = { hands: this.#random.chance(0.3), finalizers: this.#random.chance(0.15), ...only };
    const options = { seed, random: this.#random, clock: this.#clock, slots: this.#slots, trouble, ignored };
    return new History(options).run();
  }
}

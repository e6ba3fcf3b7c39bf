import { Clock } from './clock.ts';
import { History } from './history.ts';
import type { Outcome, Trouble } from './outcome.ts';
import { loadProgram, type Program, type Surroundings } from './program.ts';
import type { Edit } from './patching.ts';
import { Random } from './random.ts';
import { kinds, type Kind } from './violation.ts';

export interface Asked {
  histories: number;
  /** Seed of the first history; each further history uses the next number. */
  seed: number;
  /** Rules that may be broken. */
  ignored?: readonly Kind[];
  /** Kinds of trouble; the seed decides about absent ones. */
  trouble?: Partial<Trouble>;
  /** No further history starts after that many milliseconds. */
  forMs?: number;
  /** No further history starts after a rule was broken. */
  untilFirst?: boolean;
}

export interface Figures {
  histories: number;
  steps: number;
  revisions: number;
  ms: number;
  /** The histories in which a rule was broken. */
  broken: Outcome[];
}

/** Plays histories with the operator's code, which is loaded once. */
export class Simulation {
  readonly #clock = new Clock();
  readonly #program: Program;
  #random = new Random(0);
  #history: History | undefined;

  private constructor(make: (around: Surroundings) => Program) {
    const current = () => this.#history?.current ?? { name: '', skewMs: 0 };
    this.#program = make(this.#clock.surroundings(current, () => this.#random));
  }

  /** @param edits faults that are added on purpose */
  static async load(edits: readonly Edit[] = []): Promise<Simulation> {
    return new Simulation(await loadProgram(edits));
  }

  /** Plays a history. The same seed gives the same history. */
  async play(
    seed: number,
    { ignored = [], trouble }: Pick<Asked, 'ignored' | 'trouble'> = {},
  ): Promise<Outcome> {
    this.#random = new Random(seed);
    this.#clock.reset();
    const drawn = {
      hands: this.#random.chance(0.3),
      finalizers: this.#random.chance(0.15),
      reservations: this.#random.chance(0.4),
    };
    this.#history = new History({
      seed,
      random: this.#random,
      clock: this.#clock,
      program: this.#program,
      trouble: { ...drawn, ...trouble },
      ignored,
    });
    return this.#history.run();
  }

  async playMany({ histories, seed, forMs = Infinity, untilFirst = false, ...how }: Asked): Promise<Figures> {
    const figures: Figures = { histories: 0, steps: 0, revisions: 0, ms: 0, broken: [] };
    const start = performance.now();
    const done = () =>
      figures.histories >= histories ||
      performance.now() - start >= forMs ||
      (untilFirst && figures.broken.length > 0);
    while (!done()) {
      const outcome = await this.play(seed + figures.histories++, how);
      figures.steps += outcome.steps;
      figures.revisions += outcome.revisions;
      if (outcome.violation !== undefined) figures.broken.push(outcome);
    }
    figures.ms = performance.now() - start;
    return figures;
  }
}

/** Describes a broken history: how to repeat it, its last steps, the broken rule, and the objects concerned. */
export function renderOutcome({ seed, trouble, hash, violation, last }: Outcome): string {
  const with_ = Object.entries(trouble).flatMap(([name, is]) => (is ? [name] : []));
  const head = `seed ${seed}${with_.length > 0 ? ` (${with_.join(', ')})` : ''}, history ${hash}`;
  if (violation === undefined) return `${head}: every rule holds\n`;
  const objects = violation.objects.map((object) => JSON.stringify(object));
  return [`${head}: ${kinds[violation.kind]}: ${violation.message}`, ...last, ...objects, ''].join('\n');
}

/** Formats one line for each broken rule, and the speed. */
export function renderFigures({ histories, steps, revisions, ms, broken }: Figures): string {
  const perMinute = Math.round((histories / ms) * 60_000);
  const rows = [...Map.groupBy(broken, ({ violation }) => violation!.kind)].map(([kind, outcomes]) => {
    const seeds = outcomes.slice(0, 8).map(({ seed }) => seed);
    return `${kinds[kind]}: ${outcomes.length} histories, seeds ${seeds.join(' ')}`;
  });
  const all = `${histories} histories, ${steps} steps, ${revisions} revisions in ${(ms / 1000).toFixed(1)} s: ${perMinute} histories a minute`;
  return [...rows, `${broken.length} histories broke a rule; ${all}`, ''].join('\n');
}

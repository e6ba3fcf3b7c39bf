import type { Random } from './random.ts';
import type { Surroundings } from './program.ts';

interface Timer {
  at: number;
  order: number;
  owner: string;
  task: () => void;
}

const begin = Date.UTC(2026, 0, 1);

/** Virtual time: the scheduler moves it from timer to timer. */
export class Clock {
  /** Milliseconds since the epoch. */
  now = begin;
  readonly #timers = new Set<Timer>();
  #order = 0;

  /** Returns the next timer of those owners that are awake. */
  next(awake: (owner: string) => boolean): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (!awake(timer.owner)) continue;
      if (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer;
    }
    return first;
  }

  fire(timer: Timer): void {
    this.#timers.delete(timer);
    this.now = Math.max(this.now, timer.at);
    timer.task();
  }

  reset(): void {
    this.now = begin;
    this.#timers.clear();
    this.#order = 0;
  }

  /** Drops the timers of a killed process. */
  forget(owner: string): void {
    for (const timer of this.#timers) if (timer.owner === owner) this.#timers.delete(timer);
  }

  /** Returns a process's surroundings: its own time of day, which may be wrong, and the common passage of time. */
  surroundings(process: () => { name: string; skewMs: number }, random: () => Random): Surroundings {
    const now = () => this.now + process().skewMs;
    class OwnDate extends Date {
      constructor(...given: [] | [number | string | Date]) {
        super(...((given.length === 0 ? [now()] : given) as [number]));
      }

      static override now(): number {
        return now();
      }
    }
    const OwnMath = Object.create(Math, { random: { value: () => random().next() } }) as Math;
    return {
      Date: OwnDate as unknown as DateConstructor,
      Math: OwnMath,
      performance: { now: () => this.now },
      setTimeout: (task, ms = 0) => {
        const timer: Timer = {
          at: this.now + Math.max(0, ms),
          order: this.#order++,
          owner: process().name,
          task,
        };
        this.#timers.add(timer);
        const handle = { timer, unref: () => handle, ref: () => handle };
        return handle;
      },
      clearTimeout: (handle) => {
        if (handle !== undefined) this.#timers.delete((handle as { timer: Timer }).timer);
      },
      randomUUID: () => {
        const part = (digits: number) =>
          Array.from({ length: digits }, () => random().below(16).toString(16)).join('');
        return `${part(8)}-${part(4)}-4${part(3)}-8${part(3)}-${part(12)}`;
      },
    };
  }
}

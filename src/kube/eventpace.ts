export interface PaceOptions<E> {
  /** A reason that an object had lately is written when so many milliseconds have passed since the object's last Event. */
  repeatMs: number;
  /** A reason that did not occur for so long is new again. */
  forgetMs: number;
  /** Writes an Event. @param isNew its reason is new to the object */
  write: (event: E, isNew: boolean) => void;
}

/**
 * The pace of one object's Events. A reason that is new to the object is written at once: it is a change. A reason that
 * comes again is a sign of flapping: of all those together one is written each `repeatMs`. Until then the last one of
 * each condition is held, so that the last Event of a condition tells how it is.
 */
export class EventPace<E> {
  readonly #options: PaceOptions<E>;
  #writtenAt = -Infinity;
  /** By condition and reason: when it occurred last. There are as many as the conditions of a kind have reasons. */
  readonly #occurred = new Map<string, number>();
  /** By condition: the Event that waits; the condition that waits longest comes first. */
  readonly #held = new Map<string, E>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PaceOptions<E>) {
    this.#options = options;
  }

  /** Writes the Event, now or when its turn comes. */
  occurs(condition: string, reason: string, event: E): void {
    const now = performance.now();
    const change = `${condition} ${reason}`;
    const isNew = now - (this.#occurred.get(change) ?? -Infinity) >= this.#options.forgetMs;
    this.#occurred.set(change, now);
    if (isNew) {
      this.#held.delete(condition);
      this.#write(event, true);
      return;
    }
    this.#held.set(condition, event);
    this.#release();
  }

  /** Writes at once what is held. */
  flush(): void {
    clearTimeout(this.#timer);
    for (const event of this.#held.values()) this.#write(event, false);
    this.#held.clear();
  }

  /** Writes what has waited longest if its time has come, and sets the timer for the next. */
  #release(): void {
    const wait = () => this.#writtenAt + this.#options.repeatMs - performance.now();
    const [first] = this.#held;
    if (first !== undefined && wait() <= 0) {
      const [condition, event] = first;
      this.#held.delete(condition);
      this.#write(event, false);
    }
    clearTimeout(this.#timer);
    if (this.#held.size === 0) return;
    const again = () => {
      this.#release();
    };
    this.#timer = setTimeout(again, Math.max(1, wait())).unref();
  }

  #write(event: E, isNew: boolean): void {
    this.#writtenAt = performance.now();
    this.#options.write(event, isNew);
  }
}

/** Random numbers from a seed: the same seed gives the same numbers. */
export class Dice {
  #state: number;
  readonly #seed: string;

  constructor(seed: string) {
    this.#seed = seed;
    this.#state = hash(seed);
  }

  /** Returns separate dice for a part of the run, so that the numbers of one part do not depend on another. */
  fork(name: string): Dice {
    return new Dice(`${this.#seed} ${name}`);
  }

  /** Returns a number from 0 up to, but not including, 1 (mulberry32). */
  real(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  chance(probability: number): boolean {
    return this.real() < probability;
  }

  /** Returns a whole number, both ends included. */
  whole(from: number, to: number): number {
    return from + Math.floor(this.real() * (to - from + 1));
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.real() * list.length)];
  }

  /** Returns some items of the list, in the list's order. */
  some<T>(list: readonly T[], count: number): T[] {
    const remaining = new Set(list.keys());
    while (remaining.size > Math.max(0, list.length - count))
      remaining.delete(this.pick([...remaining]) ?? 0);
    return list.filter((_, at) => !remaining.has(at));
  }

  /** Returns one of the things, by weight. */
  weighted<T extends { weight: number }>(things: readonly T[]): T {
    let rest = this.real() * things.reduce((sum, { weight }) => sum + weight, 0);
    for (const thing of things) {
      rest -= thing.weight;
      if (rest < 0) return thing;
    }
    throw new Error('nothing to choose from');
  }
}

/** FNV-1a */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const unit of text) value = Math.imul(value ^ (unit.codePointAt(0) ?? 0), 0x01000193);
  return value >>> 0;
}

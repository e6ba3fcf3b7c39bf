/** At most so many at once of each. */
export class Quota {
  readonly #each: number;
  /** Whose count is zero has no entry: who comes once from everywhere fills no memory. */
  readonly #taken = new Map<string, number>();

  constructor(each: number) {
    this.#each = each;
  }

  full(of: string): boolean {
    return this.#count(of) >= this.#each;
  }

  take(of: string): void {
    this.#taken.set(of, this.#count(of) + 1);
  }

  release(of: string): void {
    const left = this.#count(of) - 1;
    if (left > 0) this.#taken.set(of, left);
    else this.#taken.delete(of);
  }

  #count(of: string): number {
    return this.#taken.get(of) ?? 0;
  }
}

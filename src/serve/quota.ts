/** Limits how many of something each holder may have at once. */
export class Quota {
  readonly #each: number;
  /** Entries are dropped at zero, so one-off clients cost no memory. */
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
    const count = this.#count(of) - 1;
    if (count > 0) this.#taken.set(of, count);
    else this.#taken.delete(of);
  }

  #count(of: string): number {
    return this.#taken.get(of) ?? 0;
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';

interface Patience {
  /** The expected event; the error's text begins with it. */
  what?: string;
  seconds?: number;
}

/** Accepts every value but undefined and false. */
export const found = <T>(value: T | undefined | false): value is T => value !== undefined && value !== false;

const described = (value: unknown): string =>
  value instanceof Error ? value.message : inspect(value, { breakLength: Infinity, depth: 6 });

/**
 * Calls `probe` every 50 ms, or less often if it takes longer, until `accept` accepts its value, and returns that
 * value. An error that `probe` throws, such as a failed `expect`, means "not yet". Without `accept`, every value but
 * false is accepted.
 * After `seconds` (60 by default, for busy machines) it throws the error of the last attempt, or an error that shows its value.
 */
export function eventually<T, S extends T>(
  probe: () => T | Promise<T>,
  accept: (value: T) => value is S,
  patience?: Patience,
): Promise<S>;
export function eventually<T>(
  probe: () => T | Promise<T>,
  accept?: (value: T) => boolean,
  patience?: Patience,
): Promise<T>;
export async function eventually<T>(
  probe: () => T | Promise<T>,
  accept: (value: T) => boolean = (value) => value !== false,
  { what, seconds = 60 }: Patience = {},
): Promise<T> {
  const end = performance.now() + seconds * 1_000;
  for (;;) {
    const start = performance.now();
    let last: unknown;
    try {
      const value = await probe();
      if (accept(value)) return value;
      last = value;
    } catch (error) {
      last = error;
      if (what === undefined && performance.now() > end) throw error;
    }
    if (performance.now() > end) {
      const cause = last instanceof Error ? { cause: last } : {};
      throw new Error(`${what ?? 'not accepted'}: not within ${seconds} s; last: ${described(last)}`, cause);
    }
    await sleep(Math.max(50, performance.now() - start));
  }
}

import type { Plan } from '../../src/allocate/plan.ts';

/** Returns a value as the API server would: a copy whose keys are sorted. */
export function stored<T>(value: T): T {
  if (Array.isArray(value)) return value.map(stored) as T;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, child]) => [key, stored(child) as unknown])) as T;
}

/** Returns the comparable parts of a plan. */
export const parts = ({ writes, reads, wakeAt, registrations, refusedNetworks, exhausted }: Plan) => ({
  writes,
  reads,
  wakeAt,
  registrations,
  refusedNetworks,
  exhausted,
});

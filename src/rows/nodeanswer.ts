/** Maximum number of characters of a value. */
const mostText = 512;

export const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= mostText;

/** Parses an agent's answer. @throws Error */
export function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new Error('its answer is not JSON', { cause });
  }
}

/**
 * Reads the rows of one node from an agent's parsed answer. A compromised node may answer anything, so that invalid values are refused.
 * @param field the field that holds the rows; it is also their name in messages
 * @param most maximum for one node; further rows are left out and counted
 * @param rowOf reads one row. `at` is its place in the list. It throws Error if the row is invalid
 * @param leftOut the number of rows that the agent itself left out
 * @throws Error that says which part is invalid
 */
export function readNodeRows<T>(
  answer: unknown,
  field: string,
  most: number,
  rowOf: (value: unknown, at: number) => T,
  leftOut: (answer: Partial<Record<string, unknown>>) => number = () => 0,
): { rows: T[]; problems: string[] } {
  const value = answer as Partial<Record<string, unknown>> | null;
  const list = typeof value === 'object' ? value?.[field] : undefined;
  if (value === null || !Array.isArray(list)) throw new Error(`its answer has no list of ${field}`);
  const rows = list.slice(0, most).map((one: unknown, at) => rowOf(one, at));
  const said = Array.isArray(value.problems) ? (value.problems as unknown[]).slice(0, 10).filter(isText) : [];
  const left = list.length - rows.length + leftOut(value);
  return { rows, problems: [...said, ...(left > 0 ? [`${left} more ${field} were left out`] : [])] };
}

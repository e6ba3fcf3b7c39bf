const mostShown = 200;

export const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fields that differ, a line each: `spec.subnets[9.1.0.0/16]: added {"prefix":24,"state":"Active"}`. */
export const changesOf = (before: unknown, after: unknown): string[] => [
  ...differing('spec', keyed(before), keyed(after)),
];

/** Turns lists whose entries all have a `cidr` into objects by that `cidr`, at any depth. */
function keyed(value: unknown): unknown {
  if (Array.isArray(value)) {
    const all = value.every((one) => isMap(one) && typeof one.cidr === 'string');
    if (!all || value.length === 0) return value;
    return Object.fromEntries(
      (value as Record<string, unknown>[]).map(({ cidr, ...rest }) => [`[${String(cidr)}]`, keyed(rest)]),
    );
  }
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, keyed(one)]));
}

function* differing(path: string, before: unknown, after: unknown): Generator<string> {
  if (isMap(before) && isMap(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const at = key.startsWith('[') ? `${path}${key}` : `${path}.${key}`;
      yield* differing(at, before[key], after[key]);
    }
    return;
  }
  const [was, is] = [shown(before), shown(after)];
  if (was === is) return;
  if (before === undefined) yield `${path}: added ${is}`;
  else if (after === undefined) yield `${path}: removed, it was ${was}`;
  else yield `${path}: ${was} becomes ${is}`;
}

function shown(value: unknown): string {
  const text = value === undefined ? '' : JSON.stringify(value);
  return text.length > mostShown ? `${text.slice(0, mostShown)}…` : text;
}

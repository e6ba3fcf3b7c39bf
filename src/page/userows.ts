import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Kind, Rows } from '../rows/row.ts';
import { RowSet, type Found, type Wish } from './rowset.ts';

/**
 * Rows of one kind while a component is shown. Where the wish changes, the rows of the one before stay until those of the new one
 * are here: a table does not flicker while somebody types.
 */
export function useRows<K extends Kind>(
  kind: K,
  wish: Wish,
  options: { first?: number; poll?: boolean } = {},
): { set: RowSet<K>; found: Found<Rows[K]> } {
  const key = JSON.stringify([kind, wish]);
  const set = useMemo(() => new RowSet(kind, wish, options), [key]);
  useEffect(
    () => () => {
      set.close();
    },
    [set],
  );
  const last = useRef<Found<Rows[K]>>();
  const found = set.found.value;
  if (found.here || last.current === undefined) last.current = found;
  return { set, found: found.here ? found : last.current };
}

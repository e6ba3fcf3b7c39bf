import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Kind, Rows } from '../rows/row.ts';
import { RowSet, type Found, type Wish } from './rowset.ts';
import { RowWindow, type ContainerWish, type Seen } from './rowwindow.ts';

/**
 * Loads rows of one kind while a component is mounted. After a change of the wish, the old rows stay until the new ones
 * have arrived, so that a table does not flicker while the user types.
 */
export function useRows<K extends Kind>(
  kind: K,
  wish: Wish,
  options: { first?: number; everyMs?: number } = {},
): { set: RowSet<K>; found: Found<Rows[K]> } {
  const key = JSON.stringify([kind, wish]);
  const set = useMemo(() => new RowSet(kind, wish, options), [key]);
  useClosed(set);
  return { set, found: useLast(set.found.value) };
}

/** The same for the visible containers. */
export function useWindow(wish: ContainerWish): { set: RowWindow; seen: Seen } {
  const set = useMemo(() => new RowWindow(wish), [JSON.stringify(wish)]);
  useClosed(set);
  return { set, seen: useLast(set.seen.value) };
}

function useClosed(set: { close: () => void }): void {
  useEffect(
    () => () => {
      set.close();
    },
    [set],
  );
}

function useLast<T extends { here: boolean }>(found: T): T {
  const last = useRef<T>();
  if (found.here || last.current === undefined) last.current = found;
  return found.here ? found : last.current;
}

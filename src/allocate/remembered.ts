/**
 * Returns the function with a memory: it computes each object's result once, and keeps it as long as the object exists.
 * For objects that never change, and that every plan asks about by the thousand.
 */
export function remembered<K extends object, V>(make: (from: K) => V): (from: K) => V {
  const known = new WeakMap<K, { value: V }>();
  return (from) => {
    let found = known.get(from);
    if (found === undefined) {
      found = { value: make(from) };
      known.set(from, found);
    }
    return found.value;
  };
}

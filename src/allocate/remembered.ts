/**
 * The function, which works each object out once: what follows from an object that never changes is kept as long as the
 * object is. For what thousands of objects are asked for at every plan.
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

/** Chooses peers in turn: each peer comes once before any comes twice, and each node has its own order. */
export class Rotation {
  readonly #node: string;
  #last: string | undefined;

  constructor(node: string) {
    this.#node = node;
  }

  /** Returns the next `count` of the present peers. */
  next(peers: readonly string[], count: number): string[] {
    const ring = peers
      .map((peer) => ({ peer, place: hash(`${this.#node} ${peer}`) }))
      .sort((a, b) => a.place - b.place || (a.peer < b.peer ? -1 : 1))
      .map(({ peer }) => peer);
    // if the last peer has left, the ring begins anew
    const from = this.#last === undefined ? 0 : ring.indexOf(this.#last) + 1;
    const taken = [...ring.slice(from), ...ring.slice(0, from)].slice(0, count);
    this.#last = taken.at(-1) ?? this.#last;
    return taken;
  }
}

/** FNV-1a. It gives each node another order, so that nodes that start together do not all probe the same peer. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const char of text) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return value;
}

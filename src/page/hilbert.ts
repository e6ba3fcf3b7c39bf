/**
 * Hilbert's curve: maps numbers to the cells of a square so that neighbours stay neighbours. Each quarter of the
 * numbers fills a quarter of the square, so that a quarter of a subnet is a square, too.
 */

/** Returns the cell of a number in a square with 2^order cells a side. */
export function cellOf(order: number, index: number): [x: number, y: number] {
  let x = 0;
  let y = 0;
  let rest = index;
  for (let side = 1; side < 2 ** order; side *= 2) {
    const right = Math.floor(rest / 2) % 2;
    const down = (rest + right) % 2;
    if (down === 0) {
      if (right === 1) {
        x = side - 1 - x;
        y = side - 1 - y;
      }
      [x, y] = [y, x];
    }
    x += side * right;
    y += side * down;
    rest = Math.floor(rest / 4);
  }
  return [x, y];
}

/** Returns the number of a cell. */
export function indexOf(order: number, x: number, y: number): number {
  let index = 0;
  for (let side = 2 ** (order - 1); side >= 1; side /= 2) {
    const right = (x & side) > 0 ? 1 : 0;
    const down = (y & side) > 0 ? 1 : 0;
    index += side * side * ((3 * right) ^ down);
    if (down === 0) {
      if (right === 1) {
        x = side - 1 - (x & (side - 1));
        y = side - 1 - (y & (side - 1));
      } else {
        x &= side - 1;
        y &= side - 1;
      }
      [x, y] = [y, x];
    } else {
      x &= side - 1;
      y &= side - 1;
    }
  }
  return index;
}

/** A picture of 2^bits numbers: a square, or two squares side by side. */
export class Picture {
  readonly order: number;
  readonly columns: number;
  readonly rows: number;

  constructor(bits: number) {
    this.order = Math.floor(bits / 2);
    this.rows = 2 ** this.order;
    this.columns = bits % 2 === 0 ? this.rows : this.rows * 2;
  }

  cell(index: number): [x: number, y: number] {
    const square = this.rows * this.rows;
    const [x, y] = cellOf(this.order, index % square);
    return [x + (index >= square ? this.rows : 0), y];
  }

  /** Undefined outside of the picture. */
  index(x: number, y: number): number | undefined {
    if (x < 0 || y < 0 || x >= this.columns || y >= this.rows) return undefined;
    const square = this.rows * this.rows;
    return indexOf(this.order, x % this.rows, y) + (x >= this.rows ? square : 0);
  }
}

import { coloured, harmless, toneOf } from './text.ts';

/** A column of rows of one kind. */
export interface Column<T> {
  /** Upper case, as it is printed. */
  name: string;
  of: (row: T, now: number) => string;
  /** Only with `-o wide`. */
  wide?: boolean;
  /** The sort key, if it is not the text. */
  order?: (row: T) => string | number;
}

const gap = 3;

/**
 * Formats lines as kubectl does: columns of equal width, three spaces apart, the last one unpadded. Control characters in
 * cells are made visible, so that a terminal does not obey them.
 */
export class Table {
  readonly #colours: boolean;
  #widths: number[] = [];

  constructor({ colours }: { colours: boolean }) {
    this.#colours = colours;
  }

  /** @param rows of those printed before the widths stay, unless a cell is wider */
  lines(rows: readonly (readonly string[])[]): string[] {
    const cells = rows.map((row) => row.map((cell) => (cell === '' ? '<none>' : harmless(cell))));
    for (const row of cells)
      row.forEach((cell, at) => {
        this.#widths[at] = Math.max(this.#widths[at] ?? 0, cell.length);
      });
    return cells.map((row) =>
      row
        .map((cell, at) => {
          const shown = this.#colours ? coloured(cell, toneOf(cell)) : cell;
          const room = at === row.length - 1 ? 0 : (this.#widths[at] ?? 0) + gap - cell.length;
          return shown + ' '.repeat(room);
        })
        .join(''),
    );
  }
}

const collator = new Intl.Collator('en', { numeric: true });

/** The rows by a column. @throws Error naming the columns that there are */
export function sorted<T>(rows: readonly T[], columns: readonly Column<T>[], by: string, now: number): T[] {
  const wanted = by.toUpperCase();
  const column = columns.find(({ name }) => name === wanted);
  if (column === undefined) {
    const names = columns.map(({ name }) => name.toLowerCase()).join(', ');
    throw new Error(`--sort-by "${by}": no such column; there are ${names}`);
  }
  const order = column.order ?? ((row: T) => column.of(row, now));
  return rows.toSorted((a, b) => {
    const [one, other] = [order(a), order(b)];
    return typeof one === 'number' && typeof other === 'number'
      ? one - other
      : collator.compare(String(one), String(other));
  });
}

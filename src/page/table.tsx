import { useSignal } from '@preact/signals';
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from '@tanstack/virtual-core';
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useMemo, useReducer, useRef } from 'preact/hooks';
import { Past } from './past.tsx';
import { text } from './texts.ts';

export interface Column<T> {
  id: string;
  label: string;
  /** Width for a CSS grid: `8rem`, `minmax(10rem, 2fr)`. */
  width: string;
  cell: (row: T) => ComponentChildren;
  /** Returns the value to sort by; absent: the column cannot be sorted. */
  by?: (row: T) => string | number;
}

/** The column that a table is sorted by, and the direction. */
export interface Sorting {
  id: string;
  down: boolean;
}

interface TableProps<T> {
  label: string;
  columns: readonly Column<T>[];
  /** Returns the row at a position; undefined if it has not arrived. */
  rowAt: (at: number) => T | undefined;
  /** Number of all rows, including those that have not arrived. */
  total: number;
  /** Is called with the visible positions. */
  show?: (first: number, last: number) => void;
  keyOf: (row: T) => string;
  sort: Sorting | undefined;
  /** Undefined restores the original order. */
  onSort: (sort: Sorting | undefined) => void;
}

const rowHeight = 36;

/** Returns the sum of the columns' least widths, below which a table scrolls sideways. */
export const leastWidth = (columns: readonly { width: string }[]): string =>
  `calc(${columns.map(({ width }) => /^minmax\((.+?),/.exec(width)?.[1] ?? width).join(' + ')})`;

const compare = (a: string | number, b: string | number): number =>
  typeof a === 'number' && typeof b === 'number'
    ? a - b
    : String(a).localeCompare(String(b), undefined, { numeric: true });

/** A table whose rows are all loaded, and sorted here. */
export function Table<T>({
  rows,
  sortedBy,
  ...table
}: Pick<TableProps<T>, 'label' | 'columns' | 'keyOf'> & {
  rows: readonly T[];
  /** The column to sort by at first; absent: the original order. */
  sortedBy?: string;
}) {
  const sort = useSignal<Sorting | undefined>(
    sortedBy === undefined ? undefined : { id: sortedBy, down: false },
  );
  const column = table.columns.find(({ id }) => id === sort.value?.id);
  const sorted = useMemo(() => {
    const { by } = column ?? {};
    if (by === undefined) return rows;
    const keyed = rows.map((row) => ({ row, key: by(row) }));
    keyed.sort((a, b) => compare(a.key, b.key));
    if (sort.value?.down === true) keyed.reverse();
    return keyed.map(({ row }) => row);
  }, [rows, column?.id, sort.value?.down]);
  return (
    <LongTable
      {...table}
      rowAt={(at) => sorted[at]}
      total={rows.length}
      sort={sort.value}
      onSort={(next) => (sort.value = next)}
    />
  );
}

/** A table of any length: only the visible rows are in the document. Screen readers get the number of all rows. */
export function LongTable<T>({ label, columns, rowAt, total, show, keyOf, sort, onSort }: TableProps<T>) {
  const { element, virtualizer } = useVirtual(total);
  const items = virtualizer.getVirtualItems();
  const [first, last] = [items[0]?.index ?? 0, items.at(-1)?.index ?? 0];
  useLayoutEffect(() => show?.(first, last), [first, last, show]);

  const choose = (id: string) => {
    onSort(sort?.id !== id ? { id, down: false } : sort.down ? undefined : { id, down: true });
  };
  const grid = { gridTemplateColumns: columns.map(({ width }) => width).join(' ') };
  return (
    <Past label={label}>
      <div class="scroller" ref={element} tabIndex={0} role="group" aria-label={label}>
        <div
          class="table"
          role="table"
          aria-label={label}
          aria-rowcount={total + 1}
          style={{ height: `${virtualizer.getTotalSize()}px`, minWidth: leastWidth(columns) }}
        >
          <div role="rowgroup" class="heads">
            <div role="row" class="row" aria-rowindex={1} style={grid}>
              {columns.map((one) => (
                <Head key={one.id} column={one} sort={sort} choose={choose} />
              ))}
            </div>
          </div>
          <div role="rowgroup">
            {items.map(({ index, start }) => {
              const row = rowAt(index);
              const key = row === undefined ? index : keyOf(row);
              const style = { ...grid, transform: `translateY(${start}px)` };
              return <Row key={key} row={row} at={index} columns={columns} style={style} />;
            })}
          </div>
        </div>
      </div>
    </Past>
  );
}

/** Follows the scroll position of a table of so many rows. */
function useVirtual(total: number) {
  const element = useRef<HTMLDivElement>(null);
  const [, redraw] = useReducer((count: number) => count + 1, 0);

  const options = {
    count: total,
    getScrollElement: () => element.current,
    estimateSize: () => rowHeight,
    paddingStart: rowHeight,
    overscan: 12,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange: () => {
      redraw(undefined);
    },
  };
  const virtualizer = useMemo(() => new Virtualizer<HTMLDivElement, HTMLDivElement>(options), []);
  virtualizer.setOptions(options);
  useLayoutEffect(() => virtualizer._didMount(), []);
  useLayoutEffect(() => {
    virtualizer._willUpdate();
  });
  return { element, virtualizer };
}

interface RowProps<T> {
  /** Undefined if it has not arrived. */
  row: T | undefined;
  at: number;
  columns: readonly Column<T>[];
  style: Record<string, string>;
}

const Row = <T,>({ row, at, columns, style }: RowProps<T>) => (
  <div role="row" class="row body" aria-rowindex={at + 2} style={style}>
    {columns.map(({ id, cell }) => (
      <div role="cell" key={id}>
        {row === undefined ? '…' : cell(row)}
      </div>
    ))}
  </div>
);

function Head<T>({
  column: { id, label, by },
  sort,
  choose,
}: {
  column: Column<T>;
  sort: Sorting | undefined;
  choose: (id: string) => void;
}) {
  if (by === undefined) return <div role="columnheader">{label}</div>;
  const order = sort?.id !== id ? 'none' : sort.down ? 'descending' : 'ascending';
  return (
    <div role="columnheader" aria-sort={order}>
      <button
        type="button"
        title={text.value.sortBy(label)}
        onClick={() => {
          choose(id);
        }}
      >
        {label} <span aria-hidden="true">{{ none: '', ascending: '▴', descending: '▾' }[order]}</span>
      </button>
    </div>
  );
}

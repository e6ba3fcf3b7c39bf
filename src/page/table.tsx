import { useSignal } from '@preact/signals';
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from '@tanstack/virtual-core';
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useMemo, useReducer, useRef } from 'preact/hooks';
import { text } from './texts.ts';

export interface Column<T> {
  id: string;
  label: string;
  /** Width as CSS grid has it: `8rem`, `minmax(10rem, 2fr)`. */
  width: string;
  cell: (row: T) => ComponentChildren;
  /** What the column is sorted by; absent: it cannot be. */
  by?: (row: T) => string | number;
}

interface TableProps<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  /** Also of rows that are not here yet. */
  total: number;
  /** Asks for rows up to that number. */
  want?: (count: number) => void;
  keyOf: (row: T) => string;
  /** Column that the rows are sorted by at first; absent: as they come. */
  sortedBy?: string;
}

const rowHeight = 36;

const compare = (a: string | number, b: string | number): number =>
  typeof a === 'number' && typeof b === 'number'
    ? a - b
    : String(a).localeCompare(String(b), undefined, { numeric: true });

/** A table of any length: only the rows in sight are in the document. Screen readers hear of all of them. */
export function Table<T>({ label, columns, rows, total, want, keyOf, sortedBy }: TableProps<T>) {
  const sort = useSignal<{ id: string; down: boolean } | undefined>(
    sortedBy === undefined ? undefined : { id: sortedBy, down: false },
  );
  const element = useRef<HTMLDivElement>(null);
  const [, redraw] = useReducer((count: number) => count + 1, 0);

  const whole = rows.length >= total;
  const column = columns.find(({ id }) => id === sort.value?.id);
  const sorted = useMemo(() => {
    const { by } = column ?? {};
    if (by === undefined || !whole) return rows;
    const keyed = rows.map((row) => ({ row, key: by(row) }));
    keyed.sort((a, b) => compare(a.key, b.key));
    if (sort.value?.down === true) keyed.reverse();
    return keyed.map(({ row }) => row);
  }, [rows, whole, column?.id, sort.value?.down]);

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

  const items = virtualizer.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useLayoutEffect(() => {
    if (!whole && (last >= rows.length - 1 || column !== undefined))
      want?.(column === undefined ? last + 200 : Infinity);
  }, [last, rows.length, whole, column]);

  const choose = (id: string) => {
    const now = sort.value;
    sort.value = now?.id !== id ? { id, down: false } : now.down ? undefined : { id, down: true };
  };
  const grid = { gridTemplateColumns: columns.map(({ width }) => width).join(' ') };
  return (
    <>
      {column !== undefined && !whole ? <p role="status">{text.value.sorting}</p> : null}
      <div class="scroller" ref={element} tabIndex={0} role="group" aria-label={label}>
        <div
          class="table"
          role="table"
          aria-label={label}
          aria-rowcount={total + 1}
          style={{ height: `${virtualizer.getTotalSize()}px` }}
        >
          <div role="rowgroup" class="heads">
            <div role="row" class="row" aria-rowindex={1} style={grid}>
              {columns.map((one) => (
                <Head key={one.id} column={one} sort={sort.value} choose={choose} />
              ))}
            </div>
          </div>
          <div role="rowgroup">
            {items.map(({ index, start }) => {
              const row = sorted[index];
              return (
                <div
                  key={row === undefined ? index : keyOf(row)}
                  role="row"
                  class="row body"
                  aria-rowindex={index + 2}
                  style={{ ...grid, transform: `translateY(${start}px)` }}
                >
                  {columns.map(({ id, cell }) => (
                    <div role="cell" key={id}>
                      {row === undefined ? '…' : cell(row)}
                    </div>
                  ))}
                </div>
              );
            })}
          </div>
        </div>
      </div>
    </>
  );
}

function Head<T>({
  column: { id, label, by },
  sort,
  choose,
}: {
  column: Column<T>;
  sort: { id: string; down: boolean } | undefined;
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

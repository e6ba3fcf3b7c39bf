import { useSignal, type Signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useMemo } from 'preact/hooks';
import { block, blockIndex, formatCidr, parseCidr, type Cidr } from '../net/cidr.ts';
import type { BlockRow, SpaceRow } from '../rows/row.ts';
import { BlockCanvas, type Part } from './blockcanvas.tsx';
import { Age, Name, State, To } from './marks.tsx';
import { Table, type Column } from './table.tsx';
import { stateText, text } from './texts.ts';

const leastBits = 4;

/** Returns the smallest part that contains all blocks in use. Its size is an even number of steps below the whole. */
export function usedPart(all: number, used: Iterable<number>): Part {
  const indices = [...used];
  let part: Part = { from: 0, bits: all };
  while (part.bits - 2 >= leastBits) {
    const bits = part.bits - 2;
    const from = Math.floor(Math.min(...indices.slice(0, 1)) / 2 ** bits) * 2 ** bits;
    if (indices.length === 0 || !indices.every((one) => one >= from && one < from + 2 ** bits)) break;
    part = { from, bits };
  }
  return part;
}

/** A picture of a subnet's blocks, and a table of those that are not free. */
export function AddressSpace({ space, blocks }: { space: SpaceRow; blocks: readonly BlockRow[] }) {
  const whole = useMemo(() => parseCidr(space.cidr), [space.cidr]);
  const all = Math.round(Math.log2(space.blocks));
  const byIndex = useMemo(() => indexed(whole, space.prefix, blocks), [blocks, whole, space.prefix]);
  const part = useSignal<Part>(useMemo(() => usedPart(all, byIndex.keys()), []));
  const cursor = useSignal(part.value.from);
  const { from, bits } = part.value;
  const inPart = useMemo(
    () =>
      [...byIndex]
        .filter(([index]) => index >= from && index < from + 2 ** bits)
        .sort(([a], [b]) => a - b)
        .map(([, row]) => row),
    [byIndex, from, bits],
  );
  const zoom = (by: -2 | 2) => {
    const next = Math.min(all, Math.max(0, bits + by));
    part.value = { bits: next, from: Math.floor(cursor.value / 2 ** next) * 2 ** next };
  };
  const row = byIndex.get(cursor.value);
  const cidr = formatCidr(block(whole, space.prefix, cursor.value));
  return (
    <div class="space">
      <div>
        <Zoom part={part} all={all} zoom={zoom}>
          {text.value.shown(formatCidr(partCidr(whole, space.prefix, part.value)), 2 ** bits)}
        </Zoom>
        <BlockCanvas
          label={`${text.value.spaceOf(space.cidr)}. ${text.value.spaceHelp}`}
          part={part.value}
          byIndex={byIndex}
          cursor={cursor.value}
          move={(index) => (cursor.value = index)}
          zoom={zoom}
        />
        <p class="cell" role="status">
          {text.value.cell(cidr, stateText(row?.state ?? 'Free'), row?.node ?? '')}
        </p>
        <Legend />
      </div>
      {inPart.length === 0 ? (
        <p>{text.value.noBlocks}</p>
      ) : (
        <div class="beside">
          <Table
            label={text.value.blocks}
            columns={columns(whole.family)}
            rows={inPart}
            keyOf={(one) => one.cidr}
          />
        </div>
      )}
    </div>
  );
}

const indexed = (whole: Cidr, prefix: number, blocks: readonly BlockRow[]): ReadonlyMap<number, BlockRow> =>
  new Map(
    blocks.flatMap((row) => {
      const index = blockIndex(whole, prefix, parseCidr(row.cidr));
      return index === undefined ? [] : [[index, row] as const];
    }),
  );

/** The buttons that change the visible part, and its range in words. */
function Zoom({ part, all, zoom, children }: ZoomProps) {
  return (
    <div class="tools">
      <button
        type="button"
        onClick={() => {
          zoom(-2);
        }}
        disabled={part.value.bits === 0}
      >
        <span aria-hidden="true">+</span> {text.value.zoomIn}
      </button>
      <button
        type="button"
        onClick={() => {
          zoom(2);
        }}
        disabled={part.value.bits === all}
      >
        <span aria-hidden="true">−</span> {text.value.zoomOut}
      </button>
      <button
        type="button"
        onClick={() => (part.value = { from: 0, bits: all })}
        disabled={part.value.bits === all}
      >
        {text.value.whole}
      </button>
      <span>{children}</span>
    </div>
  );
}

interface ZoomProps {
  part: Signal<Part>;
  all: number;
  zoom: (by: -2 | 2) => void;
  children: ComponentChildren;
}

const Legend = () => (
  <p class="legend">
    {(['Held', 'Releasing', 'Cooling', 'Quarantined', 'Reserved', 'Free'] as const).map((state) => (
      <span key={state}>
        <span class={`swatch ${state}`} /> {stateText(state)}
      </span>
    ))}
  </p>
);

const partCidr = (whole: Cidr, prefix: number, { from, bits }: Part): Cidr =>
  block(whole, prefix - bits, from / 2 ** bits);

const columns = (family: Cidr['family']): Column<BlockRow>[] => [
  {
    id: 'block',
    label: text.value.block,
    // an IPv6 block has up to 24 characters in most clusters
    width: `minmax(${family === 6 ? 13 : 9}rem, 1.2fr)`,
    cell: ({ cidr }) => <code>{cidr}</code>,
  },
  {
    id: 'state',
    label: text.value.state,
    width: '8rem',
    by: ({ state }) => state,
    cell: ({ state }) => <State state={state} />,
  },
  {
    id: 'node',
    label: text.value.node,
    width: 'minmax(8rem, 1fr)',
    by: ({ node }) => node,
    cell: ({ node }) => (
      <To to={{ view: 'agent', name: node }}>
        <Name of={node} />
      </To>
    ),
  },
  {
    id: 'since',
    label: text.value.since,
    width: '4.5rem',
    by: ({ since }) => since,
    cell: ({ since }) => <Age since={since} />,
  },
];

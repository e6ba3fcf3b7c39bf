import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { block, blockIndex, formatCidr, parseCidr, type Cidr } from '../net/cidr.ts';
import type { BlockRow, SpaceRow } from '../rows/row.ts';
import { Picture } from './hilbert.ts';
import { Age, Name, State, To } from './marks.tsx';
import { Table, type Column } from './table.tsx';
import { stateText, text } from './texts.ts';

/** The visible blocks: 2^bits of them, from an index that is a multiple of that number. */
interface Part {
  from: number;
  bits: number;
}

/** Width of the canvas in its own pixels. */
const width = 512;
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
  const byIndex = useMemo(
    () =>
      new Map(
        blocks.flatMap((row) => {
          const index = blockIndex(whole, space.prefix, parseCidr(row.cidr));
          return index === undefined ? [] : [[index, row] as const];
        }),
      ),
    [blocks, whole, space.prefix],
  );
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
        <div class="tools">
          <button
            type="button"
            onClick={() => {
              zoom(-2);
            }}
            disabled={bits === 0}
          >
            <span aria-hidden="true">+</span> {text.value.zoomIn}
          </button>
          <button
            type="button"
            onClick={() => {
              zoom(2);
            }}
            disabled={bits === all}
          >
            <span aria-hidden="true">−</span> {text.value.zoomOut}
          </button>
          <button type="button" onClick={() => (part.value = { from: 0, bits: all })} disabled={bits === all}>
            {text.value.whole}
          </button>
          <span>{text.value.shown(formatCidr(partCidr(whole, space.prefix, part.value)), 2 ** bits)}</span>
        </div>
        <Canvas
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
        <p class="legend">
          {(['Held', 'Releasing', 'Cooling', 'Quarantined', 'Reserved', 'Free'] as const).map((state) => (
            <span key={state}>
              <span class={`swatch ${state}`} /> {stateText(state)}
            </span>
          ))}
        </p>
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

interface CanvasProps {
  label: string;
  part: Part;
  byIndex: ReadonlyMap<number, BlockRow>;
  cursor: number;
  move: (index: number) => void;
  zoom: (by: -2 | 2) => void;
}

const steps: Record<string, [x: number, y: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function Canvas({ label, part, byIndex, cursor, move, zoom }: CanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const picture = useMemo(() => new Picture(part.bits), [part.bits]);
  const size = Math.max(1, Math.floor(width / picture.columns));
  const dark = useDark();
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (context) draw(context, { picture, size, part, byIndex, cursor });
  }, [picture, part, byIndex, cursor, dark]);

  const at = (event: MouseEvent): number | undefined => {
    const box = canvas.current?.getBoundingClientRect();
    if (box === undefined || box.width === 0) return undefined;
    const x = Math.floor(((event.clientX - box.left) / box.width) * picture.columns);
    const y = Math.floor(((event.clientY - box.top) / box.height) * picture.rows);
    const index = picture.index(x, y);
    return index === undefined ? undefined : part.from + index;
  };
  const point = (event: MouseEvent) => {
    const index = at(event);
    if (index !== undefined && index !== cursor) move(index);
  };
  const press = (event: KeyboardEvent) => {
    const step = steps[event.key];
    if (step !== undefined) {
      const [x, y] = picture.cell(cursor - part.from);
      const index = picture.index(x + step[0], y + step[1]);
      if (index !== undefined) move(part.from + index);
    } else if (event.key === 'Enter' || event.key === '+') zoom(-2);
    else if (event.key === 'Escape' || event.key === '-') zoom(2);
    else return;
    event.preventDefault();
  };
  return (
    <canvas
      ref={canvas}
      role="img"
      aria-label={label}
      tabIndex={0}
      width={size * picture.columns}
      height={size * picture.rows}
      onMouseMove={point}
      onClick={(event) => {
        point(event);
        zoom(-2);
      }}
      onKeyDown={press}
    />
  );
}

/** Redraws when the system changes between dark and light mode. */
function useDark(): boolean {
  const query = useMemo(() => matchMedia('(prefers-color-scheme: dark)'), []);
  const dark = useSignal(query.matches);
  useEffect(() => {
    const look = () => (dark.value = query.matches);
    query.addEventListener('change', look);
    return () => {
      query.removeEventListener('change', look);
    };
  }, [query]);
  return dark.value;
}

interface Drawing {
  picture: Picture;
  /** Width of a cell in pixels. */
  size: number;
  part: Part;
  byIndex: ReadonlyMap<number, BlockRow>;
  cursor: number;
}

function draw(context: CanvasRenderingContext2D, { picture, size, part, byIndex, cursor }: Drawing): void {
  const style = getComputedStyle(context.canvas);
  const colour = (state: string) => style.getPropertyValue(`--${state.toLowerCase()}`);
  const gap = size >= 6 ? 1 : 0;
  const count = 2 ** part.bits;
  const { width: right, height: bottom } = context.canvas;
  context.fillStyle = colour('free');
  context.fillRect(0, 0, right, bottom);
  if (gap > 0) {
    context.fillStyle = colour('line');
    for (let x = size; x < right; x += size) context.fillRect(x - 1, 0, 1, bottom);
    for (let y = size; y < bottom; y += size) context.fillRect(0, y - 1, right, 1);
  }
  for (const [index, { state }] of byIndex) {
    if (index < part.from || index >= part.from + count) continue;
    const [x, y] = picture.cell(index - part.from);
    context.fillStyle = colour(state);
    context.fillRect(x * size, y * size, size - gap, size - gap);
  }
  if (cursor < part.from || cursor >= part.from + count) return;
  const [x, y] = picture.cell(cursor - part.from);
  const frame = Math.max(size, 6);
  context.strokeStyle = colour('cursor');
  context.lineWidth = 2;
  context.strokeRect(
    x * size - (frame - size) / 2 + 1,
    y * size - (frame - size) / 2 + 1,
    frame - 2 - gap,
    frame - 2 - gap,
  );
}

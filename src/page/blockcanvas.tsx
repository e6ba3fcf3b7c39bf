import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { BlockRow } from '../rows/row.ts';
import { Picture } from './hilbert.ts';

/** The visible blocks: 2^bits of them, from an index that is a multiple of that number. */
export interface Part {
  from: number;
  bits: number;
}

/** Width of the canvas in its own pixels. */
const width = 512;

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

/** A picture of blocks along a Hilbert curve. Arrow keys move its cursor. */
export function BlockCanvas({ label, part, byIndex, cursor, move, zoom }: CanvasProps) {
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

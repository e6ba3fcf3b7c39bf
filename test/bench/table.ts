/** One figure and its floor or bound, as the table shows it. */
export interface Figure {
  what: string;
  measured: string;
  /** The same work without overlaynet, in the same run; empty if there is none. */
  floor?: string;
  ratio?: number;
  bound: string;
  ok: boolean;
}

export const ms = (value: number): string =>
  value >= 1_000 ? `${(value / 1_000).toFixed(2)} s` : `${Math.round(value)} ms`;

/** Returns a quantile; `q` of 1 gives the largest value. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? NaN;
}

export function renderTable(figures: readonly Figure[]): string {
  const head = ['what', 'measured', 'floor', 'ratio', 'asked for', ''];
  const rows = figures.map(({ what, measured, floor = '', ratio, bound, ok }) => [
    what,
    measured,
    floor,
    ratio === undefined ? '' : ratio.toFixed(2),
    bound,
    ok ? 'ok' : 'MISSED',
  ]);
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: string[]) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join(
    '\n',
  );
}

/** The result of sending something many times. */
export interface Figure {
  what: string;
  sent: number;
  delivered: number;
  /** How many of a few arrive without the rules; 0 if the kernel alone stops it. */
  without?: number;
  ok: boolean;
}

export function renderFigures(figures: readonly Figure[]): string {
  const head = ['what', 'sent', 'delivered', 'without the rules (10 sent)', ''];
  const rows = figures.map(({ what, sent, delivered, without, ok }) => [
    what,
    String(sent),
    String(delivered),
    without === undefined ? '' : String(without),
    ok ? 'ok' : 'FAILED',
  ]);
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: string[]) =>
    `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line), ''].join('\n');
}

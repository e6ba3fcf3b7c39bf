import { harmless } from '../api/text.ts';

/** What spreadsheets take for a formula, at the beginning of a cell; some part cells at semicolons. */
const formula = /(^|;)(?=[=+\-@\t\r])/g;

function cell(value: string): string {
  const plain = harmless(value);
  const safe = plain.replace(formula, "$1'");
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Rows as RFC 4180 has them. No cell is a formula: containers may have any name. */
export const csv = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  [heads, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');

/** Hands a file to the browser. */
export function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => {
    URL.revokeObjectURL(url);
  }, 10_000);
}

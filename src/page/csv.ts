import { harmless } from '../api/text.ts';

/**
 * The start of a cell that spreadsheets evaluate as a formula. Some split cells at semicolons, and some take the wide
 * forms of the characters, too.
 */
const formula = /(^|;)(?=[=+\-@\uff1d\uff0b\uff0d\uff20\t\r])/g;

function cell(value: string): string {
  const plain = harmless(value);
  const safe = plain.replace(formula, "$1'");
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Formats rows as in RFC 4180. No cell can be a formula, although containers may have any name. */
export const csv = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  [heads, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');

/** Saves a file through the browser. */
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

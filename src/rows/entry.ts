import { bits, formatAddress, isAddress, parseAddress, readable } from '../net/address.ts';
import { cidrOf, overlaps, parseInterface, type Cidr } from '../net/cidr.ts';
import { continueAfter, type Query } from './query.ts';
import type { Kind, Page } from './row.ts';

/** A row, and the values by which it is found and sorted. */
export interface Entry<T> {
  row: T;
  /** Unique key, which also defines the default order. */
  key: string;
  isOf: { network: (name: string) => boolean; node: (name: string) => boolean };
  namespace?: string;
  /** Words that a search matches, beside addresses. */
  words: () => readonly string[];
  /** Addresses and subnets that a search matches, as text. */
  ranges: () => readonly string[];
  /** Returns the text to sort by for a column of another order. */
  by?: (column: string) => string;
}

/** Returns one page of the entries that match the query. */
export const paged = <T>(kind: Kind, entries: readonly Entry<T>[], query: Query): Omit<Page<T>, 'version'> =>
  pageIn(kind, chosen(entries, query), query);

/** Returns the entries that match the query. */
export function chosen<T>(
  entries: readonly Entry<T>[],
  { network, node, namespace, search }: Query,
): Entry<T>[] {
  const wanted = search === undefined ? () => true : searched(search);
  return entries.filter(
    (entry) =>
      (network === undefined || entry.isOf.network(network)) &&
      (node === undefined || entry.isOf.node(node)) &&
      (namespace === undefined || entry.namespace === namespace) &&
      wanted(entry),
  );
}

/** Returns one page of the entries, in the query's order. */
export function pageIn<T>(kind: Kind, found: readonly Entry<T>[], query: Query): Omit<Page<T>, 'version'> {
  const { limit, after, offset, sort } = query;
  const [lower, higher] = sort?.down === true ? [1, -1] : [-1, 1];
  const order = (a: string, b: string) => (a < b ? lower : a > b ? higher : 0);
  const keyed = found.map(({ row, key, by }) => ({
    row,
    key: sort === undefined ? key : `${by?.(sort.column) ?? ''}\n${key}`,
  }));
  keyed.sort((a, b) => order(a.key, b.key));
  const from = offset ?? (after === undefined ? 0 : keyed.findIndex(({ key }) => order(key, after) > 0));
  const page = from < 0 ? [] : keyed.slice(from, from + limit);
  const last = page.at(-1);
  const more = last !== undefined && from + limit < keyed.length;
  return {
    items: page.map(({ row }) => row),
    total: keyed.length,
    ...(more ? { continue: continueAfter(kind, query, last.key) } : {}),
  };
}

/**
 * Returns a test for a search. An address finds rows that have it, or a subnet around it; a subnet finds rows that
 * overlap it; other text finds any part of a word.
 */
function searched(search: string): (entry: Pick<Entry<unknown>, 'words' | 'ranges'>) => boolean {
  const wanted = rangeOf(search);
  const part = search.toLowerCase();
  // rows contain addresses as formatAddress writes them, so that 50,000 rows need no parsing
  const address = isAddress(search) ? formatAddress(parseAddress(search)) : undefined;
  return ({ words, ranges }) =>
    (wanted !== undefined &&
      ranges().some((text) => {
        if (address !== undefined && !text.includes('/')) return text === address;
        const range = rangeOf(text);
        return range !== undefined && overlaps(range, wanted);
      })) ||
    (wanted === undefined && ranges().some((text) => text.includes(part))) ||
    words().some((word) => word.toLowerCase().includes(part));
}

function rangeOf(text: string): Cidr | undefined {
  return readable(() => {
    if (text.includes('/')) {
      const { address, length } = parseInterface(text);
      return cidrOf(address, length);
    }
    const { family, value } = parseAddress(text);
    return { family, base: value, length: bits(family) };
  });
}

/** Returns a subnet or address as text that sorts by its value; other texts sort after them, alphabetically. */
export function sortable(text: string): string {
  const octets = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  // the fast way for IPv4: arithmetic of big numbers takes ten times as long
  if (octets !== null) {
    const value = octets.slice(1).reduce((sum, octet) => sum * 256 + Number(octet), 0);
    return `4${value.toString(16).padStart(32, '0')}032`;
  }
  const range = rangeOf(text);
  if (range === undefined) return `9${text}`;
  return `${range.family}${range.base.toString(16).padStart(32, '0')}${String(range.length).padStart(3, '0')}`;
}

/** Returns text that sorts numbers by value: node2 before node10. */
export const natural = (text: string): string =>
  text.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, '0'));

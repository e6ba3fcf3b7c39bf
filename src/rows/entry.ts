import { bits, formatAddress, isAddress, parseAddress, readable } from '../net/address.ts';
import { cidrOf, overlaps, parseInterface, type Cidr } from '../net/cidr.ts';
import { continueAfter, type Query } from './query.ts';
import type { Kind, Page } from './row.ts';

/** A row with what it is found and sorted by. */
export interface Entry<T> {
  row: T;
  /** Unique; rows come in the order of their keys. */
  key: string;
  isOf: { network: (name: string) => boolean; node: (name: string) => boolean };
  namespace?: string;
  /** What a search looks into, beside addresses. */
  words: () => readonly string[];
  /** Addresses and subnets of it, as text. */
  ranges: () => readonly string[];
}

/** Those that the query chooses, as one page. */
export function paged<T>(kind: Kind, entries: readonly Entry<T>[], query: Query): Omit<Page<T>, 'version'> {
  const { network, node, namespace, search, limit, after } = query;
  const wanted = search === undefined ? () => true : searched(search);
  const found = entries
    .filter(
      (entry) =>
        (network === undefined || entry.isOf.network(network)) &&
        (node === undefined || entry.isOf.node(node)) &&
        (namespace === undefined || entry.namespace === namespace) &&
        wanted(entry),
    )
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const from = after === undefined ? 0 : found.findIndex(({ key }) => key > after);
  const page = from < 0 ? [] : found.slice(from, from + limit);
  const last = page.at(-1);
  const more = last !== undefined && from + limit < found.length;
  return {
    items: page.map(({ row }) => row),
    total: found.length,
    ...(more ? { continue: continueAfter(kind, query, last.key) } : {}),
  };
}

/** Whether an entry is what somebody searches: an address or subnet by what it lies in or holds, else any part of a word. */
function searched(search: string): (entry: Pick<Entry<unknown>, 'words' | 'ranges'>) => boolean {
  const wanted = rangeOf(search);
  const part = search.toLowerCase();
  // addresses of rows are as formatAddress writes them: of 50,000 none is parsed for one that is looked for
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

/** A subnet or address as text that sorts as its value does; others behind them, by themselves. */
export function sortable(text: string): string {
  const octets = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  // what nearly all are, and arithmetic of big numbers takes ten times as long
  if (octets !== null) {
    const value = octets.slice(1).reduce((sum, octet) => sum * 256 + Number(octet), 0);
    return `4${value.toString(16).padStart(32, '0')}032`;
  }
  const range = rangeOf(text);
  if (range === undefined) return `9${text}`;
  return `${range.family}${range.base.toString(16).padStart(32, '0')}${String(range.length).padStart(3, '0')}`;
}

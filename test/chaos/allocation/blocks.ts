import type {
  AgentAllocationSpec,
  BlockState,
  LedgerIndex,
  LedgerPage,
  Vtep,
} from '../../../src/api/types.ts';
import { block, formatCidr, parseCidr } from '../../../src/net/cidr.ts';
import { vtepAt } from '../../../src/net/vtep.ts';
import { pageName, vtepSpace } from '../../../src/allocate/space.ts';

/**
 * Blocks by name: a CIDR. A VTEP counts as three: each of its addresses as a block of one address, and its MAC address.
 */
export function vtepBlocks({ ip, ip6, mac }: Vtep): string[] {
  return [
    ...(ip === undefined ? [] : [ip.replace(/\/.*/, '/32')]),
    ...(ip6 === undefined ? [] : [ip6.replace(/\/.*/, '/128')]),
    mac,
  ];
}

/** Returns all blocks in an AgentAllocation. */
export const shownBlocks = ({ vtep, networks = [] }: AgentAllocationSpec): string[] => [
  ...(vtep === undefined ? [] : vtepBlocks(vtep)),
  ...networks.flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr)),
];

/** Addresses as numbers, so that blocks of different lengths can be compared. */
export interface Range {
  family: number;
  first: bigint;
  last: bigint;
}

const ranges = new Map<string, Range | undefined>();

/**
 * Returns the range of a block; undefined for a MAC address. It does not use the product's arithmetic, which is part of
 * what is tested.
 */
export function rangeOf(name: string): Range | undefined {
  if (ranges.has(name)) return ranges.get(name);
  const [address = '', length = ''] = name.split('/');
  const range = length === '' ? undefined : span(address, Number(length));
  ranges.set(name, range);
  return range;
}

function span(address: string, length: number): Range {
  const family = address.includes(':') ? 6 : 4;
  const bits = family === 4 ? 32 : 128;
  const size = 1n << BigInt(bits - length);
  const value = family === 4 ? number4(address) : number6(address);
  const first = value - (value % size);
  return { family, first, last: first + size - 1n };
}

const number4 = (address: string): bigint =>
  address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);

function number6(address: string): bigint {
  const [head = '', tail] = address.split('::');
  const parts = (side: string) => (side === '' ? [] : side.split(':'));
  const [left, right] = [parts(head), parts(tail ?? '')];
  const middle = Array.from({ length: tail === undefined ? 0 : 8 - left.length - right.length }, () => '0');
  return [...left, ...middle, ...right].reduce((sum, part) => sum * 65_536n + BigInt(`0x${part}`), 0n);
}

export const overlap = (a: Range, b: Range): boolean =>
  a.family === b.family && a.first <= b.last && b.first <= a.last;

/** The ledger's entry of a block. */
export interface Entry {
  node: string;
  state: BlockState;
}

/**
 * Returns a page's entries by block; none if the index does not list the page, or the page belongs to another space.
 */
export function entriesOf(
  name: string,
  page: LedgerPage,
  index: LedgerIndex | undefined,
): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  const space = index?.spaces.find((one) => one.pages.some((number) => pageName(one, number) === name));
  if (space === undefined || space.cidr !== page.space) return entries;
  for (const { index: at, node, state } of page.blocks) {
    const names =
      space.cidr !== vtepSpace
        ? [formatCidr(block(parseCidr(space.cidr), space.prefix, at))]
        : index?.config === undefined
          ? []
          : vtepBlocks(vtepAt(index.config.vtepSubnets, index.config.vtepMACOUI, at));
    for (const one of names) entries.set(one, { node, state });
  }
  return entries;
}

import {
  AddressError,
  bits,
  familyOf,
  formatAddress,
  parseAddress,
  type Address,
  type Family,
  readable,
} from './address.ts';

/** A subnet: `base` has no bits set beyond `length`. */
export interface Cidr {
  family: Family;
  base: bigint;
  length: number;
}

/** @throws AddressError if `text` is not ADDRESS/LENGTH, or has host bits set. */
export function parseCidr(text: string): Cidr {
  const { address, length } = parseInterface(text);
  const cidr = cidrOf(address, length);
  if (cidr.base !== address.value) {
    throw new AddressError(`"${text}" has host bits set; the subnet is ${formatCidr(cidr)}`);
  }
  return cidr;
}

/** Parses an address with its subnet's length, as a link carries it: `44.128.0.2/20`. */
export function parseInterface(text: string): { address: Address; length: number } {
  const match = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text);
  if (match === null) throw new AddressError(`"${text}" is not of the form ADDRESS/LENGTH`);
  const address = parseAddress(match[1] ?? '');
  const length = Number(match[2]);
  if (length > bits(address.family)) {
    throw new AddressError(`"${text}": the length is over ${bits(address.family)}`);
  }
  return { address, length };
}

/** The subnet of that length which `address` lies in. */
export function cidrOf(address: Address, length: number): Cidr {
  const shift = BigInt(bits(address.family) - length);
  return { family: address.family, base: (address.value >> shift) << shift, length };
}

export function formatCidr({ family, base, length }: Cidr): string {
  return `${formatAddress({ family, value: base })}/${length}`;
}

export function contains(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || outer.length > inner.length) return false;
  const shift = BigInt(bits(outer.family) - outer.length);
  return outer.base >> shift === inner.base >> shift;
}

/** Whether the text is a subnet that lies in the outer one. */
export const isWithin = (outer: Cidr, text: string): boolean =>
  readable(() => contains(outer, parseCidr(text))) === true;

export const overlaps = (a: Cidr, b: Cidr): boolean => contains(a, b) || contains(b, a);

export const containsAddress = (outer: Cidr, { family, value }: Address): boolean =>
  contains(outer, { family, base: value, length: bits(family) });

/** The address at that offset from the base; no check of the size. */
export const addressAt = (cidr: Cidr, offset: bigint | number): Address => ({
  family: cidr.family,
  value: cidr.base + BigInt(offset),
});

/** The address of a bridge in its half of a block: the containers' gateway. */
export const gateway = (half: Cidr): Address => addressAt(half, 1);

/** The number of blocks of length `prefix` in a subnet. */
export const blockCount = (cidr: Cidr, prefix: number): number => 2 ** (prefix - cidr.length);

/** The `index`-th block of length `prefix`, from 0. */
export function block(cidr: Cidr, prefix: number, index: number): Cidr {
  const shift = BigInt(bits(cidr.family) - prefix);
  return { family: cidr.family, base: cidr.base + (BigInt(index) << shift), length: prefix };
}

/** The index of a block in `cidr`; undefined if it is no block of that length. */
export function blockIndex(cidr: Cidr, prefix: number, inner: Cidr): number | undefined {
  if (inner.length !== prefix || !contains(cidr, inner)) return undefined;
  return Number((inner.base - cidr.base) >> BigInt(bits(cidr.family) - prefix));
}

/** The indices of blocks in `cidr` that share addresses with the other subnet. */
export function blocksIn(cidr: Cidr, prefix: number, other: Cidr): number[] {
  if (contains(other, cidr)) return Array.from({ length: blockCount(cidr, prefix) }, (_, at) => at);
  if (!contains(cidr, other)) return [];
  const first = Number((other.base - cidr.base) >> BigInt(bits(cidr.family) - prefix));
  const count = other.length >= prefix ? 1 : blockCount(other, prefix);
  return Array.from({ length: count }, (_, at) => first + at);
}

export function halves(cidr: Cidr): [Cidr, Cidr] {
  return [block(cidr, cidr.length + 1, 0), block(cidr, cidr.length + 1, 1)];
}

/**
 * How many containers a node's part of that length has addresses for, at most 2^53 - 1: all but the subnet's own, the
 * bridge's and, of IPv4, the broadcast address. host-local and Docker agree on it.
 */
export function addressesFor(family: Family, length: number): number {
  const all = 2 ** (bits(family) - length) - (family === 4 ? 3 : 2);
  return Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, all));
}

/** A subnet in the spelling of iproute2 and ipset: a single address has no length. */
export const bare = (cidr: string): string =>
  cidr.endsWith(familyOf(cidr) === 4 ? '/32' : '/128') ? cidr.slice(0, cidr.indexOf('/')) : cidr;

import { Address4, Address6 } from 'ip-address';

export type Family = 4 | 6;

/** An address as its family and its value: 32 or 128 bits. Text is for the edge alone. */
export interface Address {
  family: Family;
  value: bigint;
}

/** Text that is no address or no subnet; the message names it and the rule. */
export class AddressError extends Error {
  override name = 'AddressError';
}

/** What `read` returns; undefined where the text that it reads is no address or no subnet. */
export function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

export const bits = (family: Family): number => (family === 4 ? 32 : 128);

export const familyName = (family: Family): 'IPv4' | 'IPv6' => (family === 4 ? 'IPv4' : 'IPv6');

/** @throws AddressError where `text` is not one plain address: no prefix length, no zone. */
export function parseAddress(text: string): Address {
  try {
    if (/^[0-9.]+$/.test(text)) return { family: 4, value: new Address4(text).bigInt() };
    if (/^[0-9a-fA-F:.]+$/.test(text)) return { family: 6, value: new Address6(text).bigInt() };
  } catch (cause) {
    throw new AddressError(`"${text}" is not an IP address`, { cause });
  }
  throw new AddressError(`"${text}" is not an IP address`);
}

export function isAddress(text: string): boolean {
  try {
    parseAddress(text);
    return true;
  } catch {
    return false;
  }
}

/** RFC 5952 text. */
export function formatAddress({ family, value }: Address): string {
  return family === 4 ? Address4.fromBigInt(value).correctForm() : Address6.fromBigInt(value).correctForm();
}

/** An address without the length of its subnet: `44.128.0.2` of `44.128.0.2/20`. */
export const withoutLength = (text: string): string => text.replace(/\/.*/, '');

/** Of an address or a subnet as text. */
export const familyOf = (text: string): Family => (text.includes(':') ? 6 : 4);

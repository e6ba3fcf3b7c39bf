import { formatAddress, isAddress, parseAddress } from '../net/address.ts';

/** The part of a Node that the allocation uses. */
interface StatedNode {
  status?: {
    addresses?: readonly { type: string; address: string }[];
    /** Quantities. */
    allocatable?: { pods?: string };
  };
}

/** Addresses as canonical text, because they are compared with what agents register. */
export const canonicalAddresses = (texts: readonly string[]): string[] =>
  texts.filter(isAddress).map((text) => formatAddress(parseAddress(text)));

/** A Node's own addresses, canonical. */
export const statedAddresses = ({ status }: StatedNode): string[] =>
  canonicalAddresses(
    (status?.addresses ?? [])
      .filter(({ type }) => type === 'InternalIP' || type === 'ExternalIP')
      .map(({ address }) => address),
  );

/** How many pods a Node takes; undefined: it does not say. */
export function statedPods({ status }: StatedNode): number | undefined {
  const pods = Number(status?.allocatable?.pods);
  return Number.isSafeInteger(pods) ? pods : undefined;
}

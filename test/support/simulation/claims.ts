import type { AgentAllocation, AllocationLedger, LedgerBlock, LedgerSpace } from '../../../src/api/types.ts';
import { block, formatCidr, parseCidr } from '../../../src/net/cidr.ts';
import { vtepAt } from '../../../src/net/vtep.ts';
import type { MemoryServer } from './server.ts';
import { smallPage } from './program.ts';

/** Addresses from first to last. */
export interface Range {
  first: bigint;
  last: bigint;
}

const ranges = new Map<string, Range>();

/** Parses a block's text; results are cached. */
export function rangeOf(text: string): Range {
  let range = ranges.get(text);
  if (range === undefined) {
    const { family, base, length } = parseCidr(text);
    range = { first: base, last: base + (1n << BigInt((family === 4 ? 32 : 128) - length)) - 1n };
    ranges.set(text, range);
  }
  return range;
}

export const overlap = (a: Range, b: Range): boolean => a.first <= b.last && b.first <= a.last;

/** Returns the blocks and the VTEP in an AgentAllocation; a VTEP is the text of its IPv4 address. */
export const shownBy = ({ spec }: AgentAllocation): string[] => [
  ...(spec.vtep?.ip === undefined ? [] : [spec.vtep.ip]),
  ...(spec.networks ?? []).flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr)),
];

export interface Claim extends LedgerBlock {
  space: LedgerSpace;
  /** The block's text, or the VTEP's address. */
  text: string;
}

const texts = new Map<string, string>();

function textOf(
  space: LedgerSpace,
  index: number,
  config: { vtepSubnets: string[]; vtepMACOUI: string },
): string {
  const key = `${space.cidr} ${space.prefix} ${index} ${space.cidr === 'vtep' ? config.vtepSubnets.join() : ''}`;
  let text = texts.get(key);
  if (text === undefined) {
    text =
      space.cidr === 'vtep'
        ? (vtepAt(config.vtepSubnets, config.vtepMACOUI, index).ip ?? '')
        : formatCidr(block(parseCidr(space.cidr), space.prefix, index));
    texts.set(key, text);
  }
  return text;
}

/**
 * Returns all claims in the ledger. It reads them independently of the operator's code: pages that are listed and match
 * the index.
 */
export function claimsOf(server: MemoryServer): Claim[] {
  const index = (server.get('allocationledgers', 'spaces') as AllocationLedger | undefined)?.spec.index;
  const config = index?.config;
  if (config === undefined) return [];
  return index!.spaces.flatMap((space) =>
    space.pages.flatMap((number, ordinal) => {
      const name = space.cidr === 'vtep' ? `vtep-${number}` : `net-${space.network}-${number}`;
      const page = (server.get('allocationledgers', name) as AllocationLedger | undefined)?.spec.page;
      if (page === undefined || page.space !== space.cidr || page.first !== ordinal * smallPage) return [];
      return page.blocks.map((entry) => ({ ...entry, space, text: textOf(space, entry.index, config) }));
    }),
  );
}

import type {
  AgentAllocationSpec,
  AllocationLedger,
  LedgerBlock,
  LedgerPage,
  LedgerSpace,
  OverlayAgentSpec,
  PinnedConfig,
} from '../api/types.ts';
import { AddressError } from '../net/address.ts';
import { blockCount, blockIndex, parseCidr } from '../net/cidr.ts';
import { vtepCapacity, vtepIndex } from '../net/vtep.ts';
import type { Ledger } from './view.ts';

/** Blocks a page; a page is one object, and one write serves every node that waits in it. */
export const pageSize = 256;

export const vtepSpace = 'vtep';

export function pageName(space: LedgerSpace, number: number): string {
  return space.cidr === vtepSpace ? `vtep-${number}` : `net-${space.network}-${number}`;
}

/** How many blocks the space holds. */
export function capacity(space: LedgerSpace, config: PinnedConfig | undefined): number {
  if (space.cidr === vtepSpace) return config === undefined ? 0 : vtepCapacity(config.vtepSubnets);
  return blockCount(parseCidr(space.cidr), space.prefix);
}

/** One listed page as it stands: `object` is absent where it was listed and not yet created. */
export interface ListedPage {
  name: string;
  ordinal: number;
  object: AllocationLedger | undefined;
  page: LedgerPage;
  /** It is what the index says it is; otherwise nothing in it is touched, and nothing is given out from it. */
  understood: boolean;
}

export function listedPages(ledger: Ledger, space: LedgerSpace): ListedPage[] {
  return space.pages.map((number, ordinal) => {
    const name = pageName(space, number);
    const object = ledger.pages.get(name);
    const fresh: LedgerPage = { space: space.cidr, first: ordinal * pageSize, blocks: [] };
    const page = object === undefined ? fresh : (object.spec.page ?? { ...fresh, space: '' });
    const understood = page.space === fresh.space && page.first === fresh.first;
    return { name, ordinal, object, page, understood };
  });
}

export const inPage = ({ first }: LedgerPage, { index }: Pick<LedgerBlock, 'index'>): boolean =>
  index >= first && index < first + pageSize;

/** How a block is named in `View.withdrawn`. */
export const blockKey = (page: string, { index }: Pick<LedgerBlock, 'index'>): string => `${page}/${index}`;

/** Which block of the space these words say is held; undefined for none, and for words that nobody can read. */
export function statedIndex(
  space: LedgerSpace,
  { vtep, networks = [] }: Pick<AgentAllocationSpec | OverlayAgentSpec, 'vtep' | 'networks'>,
  config: PinnedConfig | undefined,
): number | undefined {
  try {
    if (space.cidr === vtepSpace) {
      const address = vtep?.ip ?? vtep?.ip6;
      return address === undefined ? undefined : vtepIndex(config?.vtepSubnets ?? [], address);
    }
    const whole = parseCidr(space.cidr);
    for (const subnet of networks.find(({ name }) => name === space.network)?.subnets ?? []) {
      const cidr = parseCidr(typeof subnet === 'string' ? subnet : subnet.cidr);
      const at = blockIndex(whole, space.prefix, cidr);
      if (at !== undefined) return at;
    }
    return undefined;
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

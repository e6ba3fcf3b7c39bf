import type {
  AgentAllocationSpec,
  AllocationLedger,
  LedgerBlock,
  LedgerPage,
  LedgerSpace,
  OverlayAgentSpec,
  PinnedConfig,
} from '../api/types.ts';
import { readable } from '../net/address.ts';
import { blockCount, blockIndex, blocksIn, parseCidr } from '../net/cidr.ts';
import { vtepCapacity, vtepIndex } from '../net/vtep.ts';
import type { Ledger } from './view.ts';

/** Number of blocks in a page. A page is one object, so one write serves every node that waits in it. */
export const pageSize = 256;

/** A timestamp more than this many milliseconds ahead of our clock is wrong. We treat it as written now. */
export const skewMs = 60_000;

/** The most pages that the CRD allows in one space. */
export const mostPages = 4096;

/** The most subnets that the ledger's CRD allows, without the VTEPs' space. Subnets that still cool count. */
export const mostSubnets = 512;

/** How many bits longer than its subnet's a block's prefix may be, as in the CRDs. */
const mostPrefixBits = 20;

export const vtepSpace = 'vtep';

export function pageName(space: Pick<LedgerSpace, 'cidr' | 'network'>, number: number): string {
  return space.cidr === vtepSpace ? `vtep-${number}` : `net-${space.network}-${number}`;
}

/** The number at the end of a page's name; undefined for any other object. */
export function pageNumber(name: string): number | undefined {
  const digits = /^(?:vtep|net-.+)-([0-9]{1,16})$/.exec(name)?.[1];
  const number = Number(digits);
  return digits !== undefined && Number.isSafeInteger(number) ? number : undefined;
}

/** Whether the space is readable. A person may have written an invalid range into it. */
export function isReadable({ cidr, prefix }: Pick<LedgerSpace, 'cidr' | 'prefix'>): boolean {
  if (cidr === vtepSpace) return true;
  const length = readLength(cidr);
  return length !== undefined && prefix > length && prefix <= length + mostPrefixBits;
}

/** The prefix length of a range; undefined if the text is invalid. */
export const readLength = (cidr: string): number | undefined => readable(() => parseCidr(cidr).length);

/** The space of a network's entry. */
export const spaceOf = (
  spaces: readonly LedgerSpace[],
  network: string,
  { cidr, prefix }: Pick<LedgerSpace, 'cidr' | 'prefix'>,
): LedgerSpace | undefined =>
  spaces.find((space) => space.network === network && space.cidr === cidr && space.prefix === prefix);

/** How many blocks the space holds. */
export function capacity(space: LedgerSpace, config: PinnedConfig | undefined): number {
  if (space.cidr === vtepSpace) return config === undefined ? 0 : vtepCapacity(config.vtepSubnets);
  return blockCount(parseCidr(space.cidr), space.prefix);
}

/**
 * State of a listed page:
 * `good`: the page is as the index says.
 * `absent`: the page is listed, and still to be created.
 * `new`: the page exists, and the index does not say so yet.
 * `lost`: the index says that the page was created, but the page is gone or has other content.
 */
export type PageState = 'good' | 'absent' | 'new' | 'lost';

/** One listed page as it stands. */
export interface ListedPage {
  name: string;
  number: number;
  ordinal: number;
  object: AllocationLedger | undefined;
  /** The object's content. For an absent or lost page, the content that it will begin with. */
  page: LedgerPage;
  state: PageState;
}

export function listedPages(ledger: Ledger, space: LedgerSpace): ListedPage[] {
  return space.pages.map((number, ordinal) => {
    const name = pageName(space, number);
    const object = ledger.pages.get(name);
    const { cidr, prefix } = space;
    const fresh: LedgerPage = { space: cidr, prefix, first: ordinal * pageSize, blocks: [] };
    const page = object?.spec.page;
    const understood = page !== undefined && isOf(page, space) && page.first === fresh.first;
    const made = ordinal < (space.made ?? 0);
    const state = understood
      ? made
        ? 'good'
        : 'new'
      : stateOfOther(object !== undefined, made, space, number);
    return { name, number, ordinal, object, page: understood ? page : fresh, state };
  });
}

/** Whether the page belongs to the space: its subnet and prefix are the same. */
export const isOf = ({ space, prefix }: LedgerPage, of: Pick<LedgerSpace, 'cidr' | 'prefix'>): boolean =>
  space === of.cidr && (prefix ?? of.prefix) === of.prefix;

/**
 * The state of a page that is absent, or that has other content. A page that replaces a lost one stays `absent` until
 * its creation succeeds, and always begins as `recovering`.
 */
function stateOfOther(exists: boolean, made: boolean, space: LedgerSpace, number: number): PageState {
  if (exists) return 'lost';
  return made && space.recovering?.includes(number) !== true ? 'lost' : 'absent';
}

export const inPage = ({ first }: LedgerPage, { index }: Pick<LedgerBlock, 'index'>): boolean =>
  index >= first && index < first + pageSize;

/**
 * The name of a Releasing block's mark in `View.withdrawn`. A block that is marked again has another `since`, so its
 * mark has another name.
 */
export const markOf = (page: string, { index, since }: Pick<LedgerBlock, 'index' | 'since'>): string =>
  `${page}/${index}@${since}`;

type Words = Pick<AgentAllocationSpec | OverlayAgentSpec, 'vtep' | 'networks'>;

/**
 * The index of the block of this space that the object says its node holds. Undefined if it names no block, or an
 * invalid one.
 */
export const statedIndex = (
  space: LedgerSpace,
  words: Words,
  config: PinnedConfig | undefined,
): number | undefined => statedIndexes(space, words, config)[0];

/** The indexes of all blocks of the space that the object says its node holds. */
export function statedIndexes(
  space: LedgerSpace,
  { vtep, networks = [] }: Words,
  config: PinnedConfig | undefined,
): number[] {
  if (space.cidr === vtepSpace) {
    const address = vtep?.ip ?? vtep?.ip6;
    const at =
      address === undefined ? undefined : readable(() => vtepIndex(config?.vtepSubnets ?? [], address));
    return at === undefined ? [] : [at];
  }
  const subnets = networks.find(({ name }) => name === space.network)?.subnets ?? [];
  if (subnets.length === 0) return [];
  const whole = parseCidr(space.cidr);
  return subnets.flatMap((subnet) => {
    const text = typeof subnet === 'string' ? subnet : subnet.cidr;
    const at = readable(() => blockIndex(whole, space.prefix, parseCidr(text)));
    return at === undefined ? [] : [at];
  });
}

/**
 * The indexes of all blocks of the space in which the object says its node holds addresses, under any network's name.
 */
export function touchedIndexes(space: LedgerSpace, { networks = [] }: Words): number[] {
  if (space.cidr === vtepSpace) return [];
  const whole = parseCidr(space.cidr);
  return networks.flatMap(({ subnets }) =>
    subnets.flatMap((subnet) => {
      const text = typeof subnet === 'string' ? subnet : subnet.cidr;
      return readable(() => blocksIn(whole, space.prefix, parseCidr(text))) ?? [];
    }),
  );
}

import type { LedgerIndex, LedgerSpace, PinnedConfig } from '../api/types.ts';
import { readable } from '../net/address.ts';
import { parseCidr } from '../net/cidr.ts';
import { pinnable } from './config.ts';
import { isOf, pageName, pageNumber, pageSize, vtepSpace } from './space.ts';
import { indexOf, version, type View } from './view.ts';

/** The longest that a block's prefix may be beyond its subnet's, as in the CRDs. */
const mostPrefixBits = 20;

/**
 * The ledger's index as it can be worked with. What a hand wrote into it and nobody can read is left out; where all of
 * it is lost, page numbers go on after the highest that is there, and the configuration stays the one in force.
 */
export function repairedIndex(view: View): LedgerIndex {
  const stored = indexOf(view.ledger);
  const seen = new Set<string>();
  const spaces = stored.spaces.filter((space) => {
    const again = space.retiredAt === undefined && seen.has(space.cidr);
    if (space.retiredAt === undefined) seen.add(space.cidr);
    return !again && isReadable(space);
  });
  const numbers = [
    ...[...view.ledger.pages.keys()].map((name) => pageNumber(name) ?? -1),
    ...spaces.flatMap(({ pages }) => pages),
  ];
  const nextPage = numbers.reduce((most, number) => Math.max(most, number + 1), stored.nextPage);
  const { config: pinned, ...rest } = stored;
  const config = pinned !== undefined && isReadableConfig(pinned) ? pinned : configInForce(view);
  const lost = spaces.length < stored.spaces.length || (view.ledger.spaces === undefined && isUsed(view));
  const rebuilt = lost
    ? { version: String(knownAt(view)), since: new Date(view.now).toISOString() }
    : counted(stored.rebuilt, view);
  const same =
    !lost &&
    nextPage === stored.nextPage &&
    config === pinned &&
    rebuilt?.version === stored.rebuilt?.version;
  if (same) return stored;
  return {
    ...rest,
    ...(config === undefined ? {} : { config }),
    ...(rebuilt === undefined ? {} : { rebuilt }),
    nextPage,
    spaces,
  };
}

/** No version that exists can reach one that is beyond all: the API server's data went back, or somebody wrote it. */
function counted(rebuilt: LedgerIndex['rebuilt'], view: View): LedgerIndex['rebuilt'] {
  if (rebuilt === undefined) return undefined;
  const known = knownAt(view);
  return Number(rebuilt.version) <= known ? rebuilt : { ...rebuilt, version: String(known) };
}

/** The highest resourceVersion of all that the view shows. */
export function knownAt({ ledger, allocationsAt, allocations }: View): number {
  const seen = Math.max(ledger.readAt, allocationsAt, version(ledger.spaces));
  return [...allocations.values()].reduce((most, object) => Math.max(most, version(object)), seen);
}

/** Something of a ledger is there, so that an index must have been. */
const isUsed = ({ ledger, allocations }: View): boolean =>
  ledger.pages.size > 0 || [...allocations.values()].some(({ spec }) => spec.vtep !== undefined);

function isReadable({ cidr, prefix }: LedgerSpace): boolean {
  if (cidr === vtepSpace) return true;
  const length = readLength(cidr);
  return length !== undefined && prefix > length && prefix <= length + mostPrefixBits;
}

const isReadableConfig = ({ vtepSubnets }: PinnedConfig): boolean =>
  vtepSubnets.every((text) => readLength(text) !== undefined);

const readLength = (cidr: string): number | undefined => readable(() => parseCidr(cidr).length);

/** Pinned before the index was lost: while nodes have VTEPs of it, an edited OverlayConfig does not count. */
function configInForce(view: View): PinnedConfig | undefined {
  const effective = view.config?.status?.effective;
  if (effective === undefined || !isReadableConfig(effective)) return undefined;
  return isUsed(view) ? pinnable(effective) : undefined;
}

/**
 * What is left of a space that the index does not list (any more): its pages, where they hold blocks. A space of which
 * nothing is left begins empty.
 */
export function remainsOf(
  space: LedgerSpace,
  view: View,
  listed: ReadonlySet<string>,
  newNumber: () => number,
): LedgerSpace {
  const byOrdinal = new Map<number, { number: number; blocks: number }>();
  for (const [name, { spec }] of view.ledger.pages) {
    const number = pageNumber(name);
    const { page } = spec;
    if (number === undefined || page === undefined || listed.has(name) || pageName(space, number) !== name)
      continue;
    if (!isOf(page, space) || page.retired === true || page.blocks.length === 0) continue;
    const ordinal = Math.floor(page.first / pageSize);
    const other = byOrdinal.get(ordinal);
    if (other === undefined || other.blocks < page.blocks.length)
      byOrdinal.set(ordinal, { number, blocks: page.blocks.length });
  }
  if (byOrdinal.size === 0) return space;
  const length = Math.max(...byOrdinal.keys()) + 1;
  const recovering: number[] = [];
  const pages = Array.from({ length }, (_, ordinal) => {
    const known = byOrdinal.get(ordinal)?.number;
    if (known !== undefined) return known;
    const number = newNumber();
    recovering.push(number);
    return number;
  });
  return {
    ...space,
    pages,
    made: length,
    ...(recovering.length === 0 ? {} : { recovering }),
  };
}

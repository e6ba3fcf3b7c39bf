import type { LedgerPage, LedgerSpace } from '../api/types.ts';
import { readable } from '../net/address.ts';
import { blockCount, overlaps, parseCidr, type Cidr } from '../net/cidr.ts';
import {
  isOf,
  isReadable,
  mostPages,
  mostSubnets,
  pageName,
  pageNumber,
  pageSize,
  vtepSpace,
} from './space.ts';
import { asOf, version, type Reads, type View } from './view.ts';

/**
 * Finds the subnets that the index does not list, although pages of them still hold blocks.
 * Nodes may use these blocks, so each subnet is listed again, in use or retired as its pages are. Otherwise an
 * overlapping network would get its blocks before they have cooled.
 * @param spaces those that the index lists
 */
export function forgottenSpaces(
  view: View,
  spaces: readonly LedgerSpace[],
  newNumber: () => number,
  reads?: Reads,
): LedgerSpace[] {
  const { ledger } = view;
  const indexAt = version(ledger.spaces);
  const listed = listedNames(spaces);
  const found = new Map<string, LedgerSpace & { isRetired: boolean }>();
  for (const [name, { spec }] of ledger.pages) {
    const { page } = spec;
    const [, network] = /^net-(.+)-[0-9]+$/.exec(name) ?? [];
    if (page?.prefix === undefined || page.blocks.length === 0 || network === undefined) continue;
    const { space: cidr, prefix, retired = false } = page;
    const space = { cidr, prefix, network, networkUID: '', pages: [] };
    if (listed.has(name) || cidr === vtepSpace || !isReadable(space) || !isWithin(page, space)) continue;
    if (asOf(ledger, name) < indexAt) {
      // a later index may have left the page out because it is empty by now
      reads?.ledger.set(name, indexAt);
      continue;
    }
    const key = `${network} ${cidr} ${prefix}`;
    found.set(key, { ...space, isRetired: retired && (found.get(key)?.isRetired ?? true) });
  }
  const isListed = ({ cidr, prefix, network }: LedgerSpace) =>
    spaces.some((space) => space.cidr === cidr && space.prefix === prefix && space.network === network);
  const inUse = spaces.flatMap((space) => (space.cidr === vtepSpace ? [] : rangeInUse(space)));
  return [...found.values()]
    .filter((space) => !isListed(space))
    .slice(0, Math.max(0, mostSubnets - spaces.length))
    .map(({ isRetired, ...space }) => {
      const range = parseCidr(space.cidr);
      // another space uses this range, so the blocks cool and no network gets them back
      const retired = isRetired || inUse.some((other) => overlaps(other, range));
      if (!retired) inUse.push(range);
      return {
        ...remainsOf(space, view, listed, newNumber),
        ...(retired ? { retiredAt: new Date(view.now).toISOString() } : {}),
      };
    });
}

const rangeInUse = ({ cidr, retiredAt }: LedgerSpace): Cidr[] =>
  retiredAt === undefined ? (readable(() => [parseCidr(cidr)]) ?? []) : [];

/** Whether the space can have such a page. A person may have written any first index. */
const isWithin = ({ first }: LedgerPage, space: LedgerSpace): boolean =>
  first >= 0 && first < Math.min(mostPages * pageSize, blockCount(parseCidr(space.cidr), space.prefix));

export const listedNames = (spaces: readonly LedgerSpace[]): Set<string> =>
  new Set(spaces.flatMap((space) => space.pages.map((number) => pageName(space, number))));

/**
 * Returns a space with those of its pages that still hold blocks, although the index no longer lists it. A space
 * without such pages begins empty.
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
    if (!isOf(page, space) || page.blocks.length === 0) continue;
    if (space.cidr !== vtepSpace && !isWithin(page, space)) continue;
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

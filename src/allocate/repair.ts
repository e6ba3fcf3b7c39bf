import type { LedgerIndex, PinnedConfig } from '../api/types.ts';
import { pinnable } from './config.ts';
import { forgottenSpaces } from './forgotten.ts';
import { isReadable, pageNumber, readLength } from './space.ts';
import { indexOf, version, type Reads, type View } from './view.ts';

/**
 * Returns the ledger's index, repaired.
 * Unreadable parts are left out, such as those that a person wrote. Subnets that it lost come back with their pages. If
 * all of it is lost, page numbers go on after the highest existing one, and the configuration in force stays.
 * @param reads receives what must be read before that is certain
 */
export function repairedIndex(view: View, reads?: Reads): LedgerIndex {
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
  let nextPage = numbers.reduce((most, number) => Math.max(most, number + 1), stored.nextPage);
  const forgotten = forgottenSpaces(view, spaces, () => nextPage++, reads);
  const { config: pinned, ...rest } = stored;
  const config = pinned !== undefined && isReadableConfig(pinned) ? pinned : configInForce(view);
  const lost =
    spaces.length < stored.spaces.length ||
    forgotten.length > 0 ||
    (view.ledger.spaces === undefined && isUsed(view));
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
    spaces: [...spaces, ...forgotten],
  };
}

/**
 * Corrects the version of a rebuilt index that is higher than every known one: the API server's data went back, or a
 * person wrote it. No write would ever reach it.
 */
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

/** Whether parts of a ledger exist, so that an index must have existed. */
const isUsed = ({ ledger, allocations }: View): boolean =>
  ledger.pages.size > 0 || [...allocations.values()].some(({ spec }) => spec.vtep !== undefined);

const isReadableConfig = ({ vtepSubnets }: PinnedConfig): boolean =>
  vtepSubnets.every((text) => readLength(text) !== undefined);

/**
 * The configuration that was pinned before the index was lost. While nodes have VTEPs of it, an edited OverlayConfig
 * does not count.
 */
function configInForce(view: View): PinnedConfig | undefined {
  const effective = view.config?.status?.effective;
  if (effective === undefined || !isReadableConfig(effective)) return undefined;
  return isUsed(view) ? pinnable(effective) : undefined;
}

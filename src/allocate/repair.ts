import type { LedgerIndex, PinnedConfig } from '../api/types.ts';
import { pinnable } from './config.ts';
import { forgottenSpaces } from './forgotten.ts';
import { isReadable, pageNumber, readLength } from './space.ts';
import { indexOf, version, type Reads, type View } from './view.ts';

/**
 * The ledger's index as it can be worked with. What a hand wrote into it and nobody can read is left out; subnets that it
 * lost come back with their pages; where all of it is lost, page numbers go on after the highest that is there, and the
 * configuration stays the one in force.
 *
 * @param reads takes up what has to be read before that is certain
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

const isReadableConfig = ({ vtepSubnets }: PinnedConfig): boolean =>
  vtepSubnets.every((text) => readLength(text) !== undefined);

/** Pinned before the index was lost: while nodes have VTEPs of it, an edited OverlayConfig does not count. */
function configInForce(view: View): PinnedConfig | undefined {
  const effective = view.config?.status?.effective;
  if (effective === undefined || !isReadableConfig(effective)) return undefined;
  return isUsed(view) ? pinnable(effective) : undefined;
}

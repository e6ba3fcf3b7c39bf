import type { AgentAllocation, AgentAllocationSpec, ObjectMeta, OverlayNetwork } from '../api/types.ts';
import { readable } from '../net/address.ts';
import { isWithin, parseCidr } from '../net/cidr.ts';

/** The objects that decide it. */
interface PresentObjects {
  networks: readonly OverlayNetwork[];
  /** All that are present. */
  allocations: readonly AgentAllocation[];
  /** The highest resourceVersion that an earlier agent of this node saw, or that an AgentAllocation had since. */
  seen: bigint | undefined;
}

/**
 * Whether the ledger has taken back what these lost peers had, as far as the networks' status shows. An agent that did not
 * run while a node was released sees no other trace of that: an AgentAllocation that was lost still has its blocks in the
 * ledger. True only where each of their blocks lies in a subnet of which the operator counts no more blocks than
 * AgentAllocations show, and where it counted after all of these were written and after what an earlier agent saw: an older
 * count may lack a node that has joined since, and then hide one that is lost. As many blocks as theirs must rest there, too:
 * a block that was taken back does. One that was given out after the backup that etcd was restored from is free, although the
 * count may be newer than all that was seen (`etcdutl snapshot restore --bump-revision`).
 */
export function isAllShown(
  lost: readonly AgentAllocationSpec[],
  { networks, allocations, seen }: PresentObjects,
): boolean {
  const theirs = lost.map(({ networks: blocks = [] }) => blocks.filter(({ subnets }) => subnets.length > 0));
  // the status of networks says nothing of a node that has only a VTEP
  if (theirs.some((blocks) => blocks.length === 0)) return false;
  const names = new Set(theirs.flat().map(({ name }) => name));
  return [...names].every((name) => {
    const network = networks.find(({ metadata }) => metadata.name === name);
    const at = versionOf(network?.metadata);
    if (network === undefined || at === undefined || (seen !== undefined && at <= seen)) return false;
    const others = allocations.filter(({ spec }) => blocksOf(spec, name).length > 0);
    if (!others.every(({ metadata }) => isBefore(metadata, at))) return false;
    return isCounted(
      network,
      lost.flatMap((spec) => blocksOf(spec, name)),
      others.flatMap(({ spec }) => blocksOf(spec, name)),
    );
  });
}

function isCounted({ status }: OverlayNetwork, lost: readonly string[], shown: readonly string[]): boolean {
  const counted = (status?.capacity ?? []).flatMap(({ cidr, held, releasing, quarantined, cooling }) => {
    const whole = readable(() => parseCidr(cidr));
    return whole === undefined ? [] : [{ whole, given: held + releasing + quarantined, cooling }];
  });
  const places = new Map<(typeof counted)[number] | undefined, number>();
  for (const block of lost) {
    const place = counted.find(({ whole }) => isWithin(whole, block));
    places.set(place, (places.get(place) ?? 0) + 1);
  }
  return [...places].every(
    ([place, count]) =>
      place !== undefined &&
      place.cooling >= count &&
      // as long as a block is missing this is all that is asked: the blocks of 5,000 nodes take long to parse
      place.given <= shown.length &&
      place.given <= shown.filter((block) => isWithin(place.whole, block)).length,
  );
}

const blocksOf = ({ networks = [] }: AgentAllocationSpec, network: string): string[] =>
  networks.filter(({ name }) => name === network).flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr));

/** The highest resourceVersion of these and of what was seen before: the one that a lost peer had is not higher. */
export function newestOf(
  allocations: readonly AgentAllocation[],
  before: bigint | undefined,
): bigint | undefined {
  const newest = allocations.reduce(
    (most, { metadata }) => Math.max(most, Number(metadata.resourceVersion ?? 0) || 0),
    0,
  );
  return newest > Number(before ?? 0) ? BigInt(newest) : before;
}

function isBefore(metadata: ObjectMeta, version: bigint): boolean {
  const own = versionOf(metadata);
  return own !== undefined && own < version;
}

/** Undefined if it is not a number; then it decides nothing. */
const versionOf = ({ resourceVersion = '' }: Partial<ObjectMeta> = {}): bigint | undefined =>
  /^[0-9]+$/.test(resourceVersion) ? BigInt(resourceVersion) : undefined;

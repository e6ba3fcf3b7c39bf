import { clashes, confirmCommand, isConfirmed, rangeWords } from '../api/ranges.ts';
import type { HostRange, LedgerIndex, ObjectMeta, OverlayAgent } from '../api/types.ts';
import { readable } from '../net/address.ts';
import { parseCidr, type Cidr } from '../net/cidr.ts';
import { remembered } from './remembered.ts';
import { vtepSpace } from './space.ts';
import type { Refusal, View } from './view.ts';

/** A node's range. */
interface ParsedRange {
  range: HostRange;
  cidr: Cidr;
}

/** The ranges that an agent says its node has beside the overlays. Unreadable ones are left out. */
const rangesOf = remembered(({ spec }: OverlayAgent): readonly ParsedRange[] =>
  (spec.ranges ?? []).flatMap((range) => readable(() => ({ range, cidr: parseCidr(range.cidr) })) ?? []),
);

/** A subnet that a user's object asks for. */
interface RequestedSubnet {
  /** The field that holds it: `spec.subnets`. */
  field: string;
  cidr: string;
  /** As kubectl names it: `overlaynetwork dcos`. */
  object: string;
  metadata: Pick<ObjectMeta, 'annotations'>;
}

/**
 * Tells why a subnet cannot be taken: nodes use that range for something else, and would no longer reach it. The
 * message names the first such node, since a compromised node can claim any range, and says how to take the subnet
 * anyway.
 */
export function rangeRefusal(
  { field, cidr, object, metadata }: RequestedSubnet,
  agents: Iterable<OverlayAgent>,
  /** Whether the range is known to overlap already, so that it refuses nothing. */
  isOld: (range: Cidr, kind: HostRange['kind']) => boolean = () => false,
): Refusal | undefined {
  if (isConfirmed(metadata, cidr)) return undefined;
  const subnet = parseCidr(cidr);
  const hit = ({ range, cidr: of }: ParsedRange) => clashes(subnet, of, range.kind) && !isOld(of, range.kind);
  const hits = [...agents].filter((agent) => rangesOf(agent).some(hit));
  const [first] = hits;
  const found = first && rangesOf(first).find(hit);
  if (found === undefined) return undefined;
  const more = hits.length > 1 ? ` (and ranges of ${hits.length - 1} more nodes)` : '';
  return {
    reason: 'Overlap',
    message:
      `${field}: ${cidr} overlaps ${rangeWords(found.range, first?.metadata.name ?? '')}${more}; ` +
      `if nodes are to reach the overlay there: ${confirmCommand(object, metadata, cidr)}`,
  };
}

/** A subnet in force that a node which joins must not use for anything else. */
export interface SubnetInForce extends Pick<RequestedSubnet, 'cidr' | 'object' | 'metadata'> {
  /** In words: `network dcos`. */
  owner: string;
  parsed: Cidr;
}

/** The subnets in force, without those that a user has allowed to overlap. */
export function subnetsInForce(
  { spaces }: LedgerIndex,
  vtepSubnets: readonly string[],
  { config, networks }: Pick<View, 'config' | 'networks'>,
): SubnetInForce[] {
  const annotated = new Map(networks.map(({ metadata }) => [metadata.name, metadata]));
  const all = [
    ...vtepSubnets.map((cidr) => ({
      cidr,
      owner: 'the VTEP subnets',
      object: 'overlayconfig default',
      metadata: config?.metadata ?? {},
    })),
    ...spaces
      .filter(({ cidr, retiredAt }) => cidr !== vtepSpace && retiredAt === undefined)
      .map(({ cidr, network }) => ({
        cidr,
        owner: `network ${network}`,
        object: `overlaynetwork ${network}`,
        metadata: annotated.get(network) ?? {},
      })),
  ];
  return all
    .filter(({ cidr, metadata }) => !isConfirmed(metadata, cidr))
    .map((one) => ({ ...one, parsed: parseCidr(one.cidr) }));
}

/**
 * Tells why a node cannot become a member: its own ranges overlap the overlays, and the new routes would cut them off.
 * A member stays a member whatever ranges it gets later, since it has containers; its agent reports the overlap.
 */
export function joinRefusal(agent: OverlayAgent, subnets: readonly SubnetInForce[]): Refusal | undefined {
  for (const { range, cidr } of rangesOf(agent)) {
    const hit = subnets.find(({ parsed }) => clashes(parsed, cidr, range.kind));
    if (hit === undefined) continue;
    return {
      reason: 'RangeOverlap',
      message:
        `spec.ranges: ${rangeWords(range, `node ${agent.metadata.name}`)}, overlaps ${hit.cidr} of ${hit.owner}: the node would no ` +
        `longer reach it; change it, or, if the node is to reach the overlay there: ` +
        confirmCommand(hit.object, hit.metadata, hit.cidr),
    };
  }
  return undefined;
}

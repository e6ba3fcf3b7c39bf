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

/** What an agent says that its node has beside the overlays. What nobody can read is nothing. */
const rangesOf = remembered(({ spec }: OverlayAgent): readonly ParsedRange[] =>
  (spec.ranges ?? []).flatMap((range) => readable(() => ({ range, cidr: parseCidr(range.cidr) })) ?? []),
);

/** A subnet that is to be taken, of an object that a person may annotate. */
interface Wanted {
  /** Where it stands: `spec.subnets`. */
  field: string;
  cidr: string;
  /** As kubectl names it: `overlaynetwork dcos`. */
  object: string;
  metadata: Pick<ObjectMeta, 'annotations'>;
}

/**
 * Tells why a subnet cannot be taken where nodes have something of that range: they would no longer reach it. The message
 * names the first such node, since a node that was broken into can claim any range, and how to take the subnet all the
 * same.
 */
export function rangeRefusal(
  { field, cidr, object, metadata }: Wanted,
  agents: Iterable<OverlayAgent>,
  /** Of ranges that count nevertheless: whether they are known to overlap already. */
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

/** An overlay's subnet in force, which a node that joins must leave alone. */
export interface SubnetInForce extends Pick<Wanted, 'cidr' | 'object' | 'metadata'> {
  /** In words: `network dcos`. */
  whose: string;
  parsed: Cidr;
}

/** Those that no person has let overlap. */
export function subnetsInForce(
  { spaces }: LedgerIndex,
  vtepSubnets: readonly string[],
  { config, networks }: Pick<View, 'config' | 'networks'>,
): SubnetInForce[] {
  const annotated = new Map(networks.map(({ metadata }) => [metadata.name, metadata]));
  const all = [
    ...vtepSubnets.map((cidr) => ({
      cidr,
      whose: 'the VTEP subnets',
      object: 'overlayconfig default',
      metadata: config?.metadata ?? {},
    })),
    ...spaces
      .filter(({ cidr, retiredAt }) => cidr !== vtepSpace && retiredAt === undefined)
      .map(({ cidr, network }) => ({
        cidr,
        whose: `network ${network}`,
        object: `overlaynetwork ${network}`,
        metadata: annotated.get(network) ?? {},
      })),
  ];
  return all
    .filter(({ cidr, metadata }) => !isConfirmed(metadata, cidr))
    .map((one) => ({ ...one, parsed: parseCidr(one.cidr) }));
}

/**
 * Tells why a node cannot become a member: what it has beside the overlays would be cut off as soon as it has the routes.
 * A member keeps what it has whatever it gets later, since containers are on it; its agent says so.
 */
export function joinRefusal(agent: OverlayAgent, subnets: readonly SubnetInForce[]): Refusal | undefined {
  for (const { range, cidr } of rangesOf(agent)) {
    const hit = subnets.find(({ parsed }) => clashes(parsed, cidr, range.kind));
    if (hit === undefined) continue;
    return {
      reason: 'RangeOverlap',
      message:
        `spec.ranges: ${rangeWords(range, `node ${agent.metadata.name}`)}, overlaps ${hit.cidr} of ${hit.whose}: the node would no ` +
        `longer reach it; change it, or, if the node is to reach the overlay there: ` +
        confirmCommand(hit.object, hit.metadata, hit.cidr),
    };
  }
  return undefined;
}

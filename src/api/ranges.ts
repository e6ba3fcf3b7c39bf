import { contains, overlaps, type Cidr } from '../net/cidr.ts';
import type { HostRange, ObjectMeta } from './types.ts';

/**
 * Its value, on an OverlayNetwork or an OverlayConfig, is a comma list of its subnets that may overlap what nodes have
 * beside the overlays.
 */
export const confirmOverlap = 'overlaynet.dev/confirm-overlap';

const confirmedIn = ({ annotations }: Pick<ObjectMeta, 'annotations'>): string[] =>
  (annotations?.[confirmOverlap] ?? '').split(',').filter((text) => text !== '');

/** Whether a person has said that this subnet may overlap. */
export const isConfirmed = (metadata: Pick<ObjectMeta, 'annotations'>, cidr: string): boolean =>
  confirmedIn(metadata).includes(cidr);

/** The command that says so; what was said before stays. @param object as kubectl names it: `overlaynetwork dcos` */
export const confirmCommand = (
  object: string,
  metadata: Pick<ObjectMeta, 'annotations'>,
  cidr: string,
): string =>
  `kubectl annotate --overwrite ${object} ${confirmOverlap}=${[...confirmedIn(metadata), cidr].join()}`;

/**
 * Whether an overlay's subnet takes addresses away that the node reaches otherwise. A route that is wider than the
 * subnet is no such case: it says where everything else is, as a default route does, and longer prefixes are cut out of
 * it on purpose (docs/install.md).
 */
export const clashes = (subnet: Cidr, range: Cidr, kind: HostRange['kind']): boolean =>
  kind === 'Route' ? contains(subnet, range) : overlaps(subnet, range);

/** `10.100.0.0/16, a subnet of node3 on eth1` */
export function rangeWords({ cidr, kind, link = '' }: HostRange, node: string): string {
  switch (kind) {
    case 'Subnet':
      return `${cidr}, a subnet of ${node} on ${link}`;
    case 'Route':
      return `${cidr}, a route of ${node} by ${link}`;
    case 'Pool':
      return `${cidr}, an address pool of Docker on ${node}`;
  }
}

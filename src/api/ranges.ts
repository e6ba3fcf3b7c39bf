import { contains, overlaps, type Cidr } from '../net/cidr.ts';
import type { HostRange, ObjectMeta } from './types.ts';

/**
 * Annotation of an OverlayNetwork or OverlayConfig: a comma-separated list of its subnets that may overlap ranges which nodes
 * use outside of the overlays.
 */
export const confirmOverlap = 'overlaynet.dev/confirm-overlap';

const confirmedIn = ({ annotations }: Pick<ObjectMeta, 'annotations'>): string[] =>
  (annotations?.[confirmOverlap] ?? '').split(',').filter((text) => text !== '');

/** Whether the annotation allows this subnet to overlap. */
export const isConfirmed = (metadata: Pick<ObjectMeta, 'annotations'>, cidr: string): boolean =>
  confirmedIn(metadata).includes(cidr);

/** The command that sets the annotation and keeps its present value. @param object as kubectl names it: `overlaynetwork dcos` */
export const confirmCommand = (
  object: string,
  metadata: Pick<ObjectMeta, 'annotations'>,
  cidr: string,
): string =>
  `kubectl annotate --overwrite ${object} ${confirmOverlap}=${[...confirmedIn(metadata), cidr].join()}`;

/**
 * Whether an overlay's subnet hides addresses that the node reaches by another way. A route that is wider than the subnet
 * does not count: like a default route it covers everything else, and longer prefixes within it are intended
 * (docs/install.md).
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

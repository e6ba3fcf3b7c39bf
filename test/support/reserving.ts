import type { OverlayReservationSpec } from '../../src/api/types.ts';
import { reservationStatus } from '../../src/allocate/reservationstatus.ts';
import { gather } from '../../src/allocate/facts.ts';
import { Cluster, dcos, dcos6 } from './plancluster.ts';

export const oldMAC = '70:b3:d5:00:00:07';

export function reserve(cluster: Cluster, name: string, spec: OverlayReservationSpec): void {
  const creationTimestamp = new Date(cluster.now + cluster.reservations.size).toISOString();
  cluster.reservations.set(name, { metadata: { name, uid: `uid-of-${name}`, creationTimestamp }, spec });
}

export const of = (
  at: number,
  node: string,
  more: Partial<OverlayReservationSpec> = {},
): OverlayReservationSpec => ({
  nodeName: node,
  vtep: { ip: `44.128.0.${at + 1}/20`, ip6: `fd01:a::${at + 1}/64`, mac: oldMAC },
  networks: [{ name: 'dcos', subnets: [`9.0.${at}.0/24`] }],
  ...more,
});

export const findings = (cluster: Cluster, name: string) =>
  reservationStatus(cluster.reservations.get(name)!, gather(cluster.view(), cluster.last))!.conditions!.map(
    ({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`,
  );
export const parts = (cluster: Cluster, name: string) =>
  cluster.last.reservations.verdicts
    .get(name)!
    .parts.map(({ state, why }) => `${state} ${why?.reason ?? ''}`.trim());

export function cluster(): Cluster {
  const one = new Cluster();
  one.network('dcos', dcos);
  one.network('dcos6', dcos6);
  return one;
}

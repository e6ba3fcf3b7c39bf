import type { OverlayReservationSpec } from '../../../src/api/types.ts';
import { vtepAt } from '../../../src/net/vtep.ts';
import type { Random } from './random.ts';

/** A reservation for that node: of a VTEP and blocks that others may have, of networks that may not be there. */
export function reservationFor(node: string, random: Random, now: number): OverlayReservationSpec {
  const number = Number(node.slice(1));
  const at = random.below(8);
  const usual = vtepAt(['44.128.0.0/24'], '70:B3:D5:00:00:00', at);
  const mac = random.chance(0.6) ? `70:b3:d5:00:0${number}:0${at}` : usual.mac;
  const block = (second: number) => `9.${second}.0.${16 * random.below(8)}/28`;
  const networks = [
    { name: 'a', subnets: [block(0)] },
    { name: 'b', subnets: [block(1)] },
    { name: 'c', subnets: [block(3)] },
  ].filter(() => random.chance(0.7));
  const expiresAt = new Date(now + 1_000 * (1 + random.below(20))).toISOString();
  return {
    ...(random.chance(0.7) ? { nodeName: node } : { address: `172.17.0.${number}` }),
    vtep: { ...(usual.ip === undefined ? {} : { ip: usual.ip }), mac },
    ...(networks.length === 0 ? {} : { networks }),
    ...(random.chance(0.1) ? { exclusive: true, expiresAt } : random.chance(0.2) ? { expiresAt } : {}),
  };
}

import { configCases, list } from './configcases.ts';
import type { Manifest } from './dryrun.ts';
import { config, network, subnet } from './manifests.ts';
import { networkCases } from './networkcases.ts';
import { reservationCases, takenReservation } from './reservedcases.ts';
import type { ValidationCase } from './validationcase.ts';

/** Objects that the API server and the operator both refuse. */
export const refusedByBoth: readonly ValidationCase[] = [
  ...networkCases,
  ...configCases,
  ...reservationCases,
];

/** Objects at the limit of a rule that both accept. */
export const takenByBoth: readonly { what: string; object: Manifest }[] = [
  takenReservation,
  { what: 'a name of 13 characters', object: network({}, 'abcdefghijklm') },
  { what: 'a name of one digit', object: network({}, '9') },
  { what: 'a prefix that leaves two halves', object: network({ subnets: [subnet('9.0.0.0/24', 29)] }) },
  {
    what: 'a prefix that leaves one part',
    object: network({ subnets: [subnet('9.0.0.0/24', 30)], containerizers: ['CNI'] }),
  },
  { what: 'a prefix 20 longer', object: network({ subnets: [subnet('fd01:b::/64', 84)] }) },
  {
    what: 'subnets that touch',
    object: network({ subnets: [subnet('10.0.0.0/9', 24), subnet('10.128.0.0/9', 24)] }),
  },
  { what: 'the range before loopback', object: network({ subnets: [subnet('126.0.0.0/8', 24)] }) },
  { what: 'warnings from 1 percent on', object: network({ warnAt: 1 }) },
  { what: 'warnings at 100 percent', object: network({ warnAt: 100 }) },
  { what: 'VTEP subnets of /8 and /126', object: config({ vtepSubnets: ['44.0.0.0/8', 'fd01:a::/126'] }) },
  { what: 'a VTEP subnet of /30', object: config({ vtepSubnets: ['44.0.0.0/30'] }) },
  { what: 'an OUI in lower case', object: config({ vtepMACOUI: '72:b3:d5:00:00:00' }) },
  { what: 'a defaultNetwork of 16 networks', object: config({ defaultNetwork: list(16) }) },
  {
    what: 'node subnets of both families',
    object: config({ nodeSubnets: ['172.17.0.0/16', 'fd00:17::/64'] }),
  },
];

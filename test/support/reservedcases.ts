import type { Manifest } from './dryrun.ts';
import type { ValidationCase } from './validationcase.ts';

const reserved = (
  what: string,
  spec: Record<string, unknown>,
  crd: string[],
  operator: string,
): ValidationCase => ({
  what: `a reservation ${what}`,
  object: { kind: 'OverlayReservation', metadata: { name: 'ovt-old' }, spec },
  crd,
  operator,
});
const oldMAC = '70:b3:d5:00:00:07';

export const reservationCases: ValidationCase[] = [
  reserved(
    'of nothing',
    { nodeName: 'node1' },
    ['spec', 'reserves nothing'],
    'spec: it reserves nothing; give vtep or networks, or exclusive',
  ),
  reserved(
    'of a VTEP without an address',
    { vtep: { mac: oldMAC } },
    ['spec.vtep', 'must have ip or ip6'],
    'spec.vtep: it must have ip or ip6',
  ),
  reserved(
    'of a multicast MAC',
    { vtep: { ip: '44.128.0.7/20', mac: '71:b3:d5:00:00:07' } },
    ['spec.vtep.mac', '"71:b3:d5:00:00:07"', 'should match'],
    'spec.vtep.mac: "71:b3:d5:00:00:07" is not a unicast MAC in lower case',
  ),
  reserved(
    'of a VTEP without a length',
    { vtep: { ip: '44.128.0.7', mac: oldMAC } },
    ['spec.vtep.ip', '"44.128.0.7"', 'should match'],
    'spec.vtep: "44.128.0.7" is not an address with the length of its subnet, such as 44.128.0.2/20',
  ),
  reserved(
    'of a block with host bits',
    { networks: [{ name: 'dcos', subnets: ['9.0.1.1/24'] }] },
    ['spec.networks[0].subnets[0]', '9.0.1.1/24', 'without host bits'],
    'spec.networks: "9.0.1.1/24" has host bits set; the subnet is 9.0.1.0/24',
  ),
];

export const takenReservation: { what: string; object: Manifest } = {
  what: 'a reservation of a VTEP and blocks',
  object: {
    kind: 'OverlayReservation',
    metadata: { name: 'ovt-old' },
    spec: {
      address: '172.17.0.2',
      vtep: { ip: '44.128.0.7/20', ip6: 'fd01:a::7/64', mac: oldMAC },
      networks: [{ name: 'dcos', subnets: ['9.0.1.0/24', 'fd01:b:0:0:1::/80'] }],
      expiresAt: '2030-01-01T00:00:00Z',
    },
  },
};

import { agent, config, shellTexts } from '../support/manifests.ts';
import { apiServerWithCRDs, refuses, type Case } from '../support/refuses.ts';

const plane = apiServerWithCRDs();

describe('an OverlayConfig', () => {
  refuses(plane, [
    ['not named default', config({}, 'ovt-config'), ['metadata.name', '"ovt-config"', 'must be "default"']],
    ['with an empty list of node subnets', config({ nodeSubnets: [] }), ['spec.nodeSubnets', 'at least 1']],
    ['with VNI 0', config({ vni: 0 }), ['spec.vni', '0', 'greater than or equal to 1']],
    ['with VNI 2²⁴', config({ vni: 16777216 }), ['spec.vni', '16777216', 'less than or equal to 16777215']],
    ['with port 0', config({ port: 0 }), ['spec.port', '0', 'greater than or equal to 1']],
    ['with port 65536', config({ port: 65536 }), ['spec.port', '65536', 'less than or equal to 65535']],
    ['with MTU 575', config({ mtu: 575 }), ['spec.mtu', '575', 'greater than or equal to 576']],
    ['with MTU 65486', config({ mtu: 65486 }), ['spec.mtu', '65486', 'less than or equal to 65485']],
    ['with another underlay', config({ underlay: 'IPX' }), ['spec.underlay', '"IPX"', '"IPv4", "IPv6"']],
    ['with cooldown 1', config({ reuseCooldown: '1' }), ['spec.reuseCooldown', '"1"', 'should match']],
    [
      'with cooldown 999ms',
      config({ reuseCooldown: '999ms' }),
      ['spec.reuseCooldown', '"999ms"', 'at least 1s'],
    ],
    [
      'with cooldown -10m',
      config({ reuseCooldown: '-10m' }),
      ['spec.reuseCooldown', '"-10m"', 'should match'],
    ],
    [
      'with a default network too long',
      config({ defaultNetwork: 'abcdefghijklmn' }),
      ['spec.defaultNetwork', '"abcdefghijklmn"', 'should match'],
    ],
    [
      'with a reserved default network',
      config({ defaultNetwork: 'dcos,host' }),
      ['spec.defaultNetwork', '"dcos,host"', 'reserved'],
    ],
    ...shellTexts.flatMap((text): Case[] => [
      [
        `with default network ${JSON.stringify(text)}`,
        config({ defaultNetwork: `dcos${text}` }),
        ['spec.defaultNetwork', 'should match'],
      ],
      [
        `with cooldown ${JSON.stringify(text)}`,
        config({ reuseCooldown: text }),
        ['spec.reuseCooldown', 'should match'],
      ],
    ]),
  ]);
});

describe('an OverlayAgent', () => {
  const at = (...addresses: string[]) => agent({ addresses });
  const ranges = (...changes: object[]) =>
    agent({ ranges: changes.map((change) => ({ cidr: '10.0.0.0/8', kind: 'Subnet', ...change })) });
  refuses(plane, [
    ['without addresses', at(), ['spec.addresses', 'at least 1 item']],
    ['with three addresses', at('1.1.1.1', 'fd00::1', 'fd00::2'), ['spec.addresses', 'at most 2 items']],
    [
      'with two of one family',
      at('1.1.1.1', '2.2.2.2'),
      ['spec.addresses', '["1.1.1.1", "2.2.2.2"]', 'at most one of each family'],
    ],
    ['with no address', at('1.1.1'), ['spec.addresses[0]', '"1.1.1"', 'no IP address']],
    [
      'with a mapped address',
      at('::ffff:1.1.1.1'),
      ['spec.addresses[0]', '"::ffff:1.1.1.1"', 'no IP address'],
    ],
    ['with a zone', at('fe80::1%eth0'), ['spec.addresses[0]', '"fe80::1%eth0"', 'should match']],
    ['not canonical', at('FD00::0:1'), ['spec.addresses[0]', '"FD00::0:1"', 'write fd00::1']],
    ...[
      '0.0.0.0',
      '::',
      '127.0.0.1',
      '::1',
      '169.254.1.1',
      'fe80::1',
      '224.0.0.1',
      'ff02::1',
      '255.255.255.255',
    ].map((text): Case => [
      `at ${text}`,
      at(text),
      [
        'spec.addresses[0]',
        `"${text}"`,
        'must not be unspecified, loopback, link-local, multicast or reserved',
      ],
    ]),
    ['with MTU 575', agent({ uplinkMTU: 575 }), ['spec.uplinkMTU', '575', 'greater than or equal to 576']],
    [
      'with MTU 65536',
      agent({ uplinkMTU: 65536 }),
      ['spec.uplinkMTU', '65536', 'less than or equal to 65535'],
    ],
    [
      'that holds a block with host bits',
      agent({ networks: [{ name: 'dcos', subnets: ['9.0.1.1/24'] }] }),
      ['spec.networks[0].subnets[0]', '"9.0.1.1/24"', 'without host bits'],
    ],
    [
      'that has seen no number',
      agent({ seenResourceVersion: 'x' }),
      ['spec.seenResourceVersion', '"x"', 'should match'],
    ],
    [
      'with 65 ranges',
      ranges(...Array.from({ length: 65 }, (_, at) => ({ cidr: `10.${at}.0.0/16` }))),
      ['spec.ranges', 'at most 64 items'],
    ],
    [
      'with a range that has host bits',
      ranges({ cidr: '10.100.0.2/16' }),
      ['spec.ranges[0].cidr', '"10.100.0.2/16"', 'without host bits'],
    ],
    [
      'with a range of no kind',
      ranges({ kind: 'Own' }),
      ['spec.ranges[0].kind', '"Own"', '"Subnet", "Route", "Pool"'],
    ],
    [
      'with the name of a link that none can have',
      ranges({ link: 'a-name-of-16-char' }),
      ['spec.ranges[0].link', 'may not be more than 15'],
    ],
    ['that leaves out 0 ranges', agent({ rangesLeftOut: 0 }), ['spec.rangesLeftOut', '0', 'equal to 1']],
    [
      'with 33 further addresses',
      agent({ furtherAddresses: Array.from({ length: 33 }, (_, at) => `10.0.0.${at}`) }),
      ['spec.furtherAddresses', 'at most 32 items'],
    ],
    [
      'with a further address that is not canonical',
      agent({ furtherAddresses: ['fd00::0:1'] }),
      ['spec.furtherAddresses[0]', '"fd00::0:1"', 'canonical'],
    ],
    ...shellTexts.map((text): Case => [
      `with a link ${JSON.stringify(text)}`,
      ranges({ link: text }),
      ['spec.ranges[0].link', 'should match'],
    ]),
    ...shellTexts.map((text): Case => [
      `at ${JSON.stringify(text)}`,
      at(text),
      ['spec.addresses[0]', 'should match'],
    ]),
  ]);
});

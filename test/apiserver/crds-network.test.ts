import { apiVersion, type OverlayNetwork } from '../../src/api/types.ts';
import { overlayNetworks } from '../../src/kube/resources.ts';
import { controlPlane, type ControlPlane } from '../support/controlplane.ts';
import { network, subnet } from '../support/manifests.ts';
import { install, refuses, shellTexts, type Case } from '../support/refuses.ts';

let plane: ControlPlane;

beforeAll(async () => {
  plane = await controlPlane();
  await install(plane, 'crds');
}, 90_000);

afterAll(() => plane.stop());

describe('a name of a network', () => {
  refuses(
    () => plane,
    [
      [
        'of 14 characters',
        network({}, 'abcdefghijklmn'),
        ['metadata.name', '"abcdefghijklmn"', '14 characters', 'at most 13'],
      ],
      ...['host', 'bridge', 'default', 'none'].map((name): Case => [
        `${name}, which is reserved`,
        network({}, name),
        ['metadata.name', `"${name}"`, 'reserved'],
      ]),
      ['in upper case', network({}, 'Dcos'), ['metadata.name', '"Dcos"', 'lowercase RFC 1123']],
      ['with a dot', network({}, 'a.b'), ['metadata.name', '"a.b"', 'must be a DNS label']],
      ...shellTexts.map((text): Case => [
        `with ${JSON.stringify(text)}`,
        network({}, `a${text}`),
        ['metadata.name', 'RFC 1123'],
      ]),
    ],
  );
});

describe("a network's subnets", () => {
  const going = (cidr: string, state?: string) =>
    subnet(cidr, 24, { ...(state && { state }), removeWhenDrained: true });
  const rule = ['spec.subnets', 'must keep an entry that is not both Draining and removeWhenDrained'];
  refuses(
    () => plane,
    [
      [
        'that all go by themselves',
        network({ subnets: [going('9.0.0.0/8', 'Draining'), going('10.0.0.0/8', 'Draining')] }),
        rule,
      ],
      [
        'whose removeWhenDrained is no truth',
        network({ subnets: [subnet('9.0.0.0/8', 24, { removeWhenDrained: 'yes' })] }),
        ['spec.subnets[0].removeWhenDrained', 'boolean'],
      ],
    ],
  );
  test('may go by themselves beside one that stays', async () => {
    const subnets = [going('9.0.0.0/8', 'Draining'), going('10.0.0.0/8')];
    await plane.client.create(overlayNetworks, {
      apiVersion,
      ...network({ subnets }, 'goes'),
    } as OverlayNetwork);
  });
});

describe("a network's cidr", () => {
  const cidr = (text: string, prefix: number, says: string[]): Case => [
    text,
    network({ subnets: [subnet(text, prefix)] }),
    ['spec.subnets[0].cidr', `"${text.trim()}"`, ...says],
  ];
  refuses(
    () => plane,
    [
      cidr('9.0.0.1/8', 24, ['host bits set', 'the network is 9.0.0.0/8']),
      cidr('fd01:b::1/64', 80, ['host bits set', 'the network is fd01:b::/64']),
      cidr('FD01:B::/64', 80, ['canonical form (RFC 5952)', 'write fd01:b::/64']),
      cidr('fd01:b:0:0::/64', 80, ['canonical form (RFC 5952)', 'write fd01:b::/64']),
      cidr('9.0.0.0', 24, ['should match']),
      cidr('9.0.0.0/08', 24, ['is no CIDR such as 9.0.0.0/8']),
      cidr('09.0.0.0/8', 24, ['is no CIDR such as 9.0.0.0/8']),
      cidr('9.0.0/8', 24, ['is no CIDR such as 9.0.0.0/8']),
      cidr('9.0.0.0/33', 34, ['is no CIDR such as 9.0.0.0/8']),
      cidr('::ffff:9.0.0.0/104', 120, ['is no CIDR such as 9.0.0.0/8']),
      cidr('fe80::%eth0/64', 80, ['should match']),
      cidr('0.0.0.0/0', 8, ['overlaps', '0.0.0.0/8', 'unspecified']),
      cidr('::/0', 8, ['overlaps', '::/8', 'unspecified']),
      cidr('0.0.0.0/8', 16, ['overlaps ["0.0.0.0/8"]', 'unspecified']),
      cidr('127.0.0.0/8', 24, ['overlaps ["127.0.0.0/8"]', 'loopback']),
      cidr('126.0.0.0/7', 24, ['overlaps ["127.0.0.0/8"]', 'loopback']),
      cidr('127.5.0.0/16', 24, ['overlaps ["127.0.0.0/8"]', 'loopback']),
      cidr('::1/128', 129, ['overlaps ["::/8"]', 'loopback']),
      cidr('169.254.0.0/16', 24, ['overlaps ["169.254.0.0/16"]', 'link-local']),
      cidr('fe80::/64', 80, ['overlaps ["fe80::/10"]', 'link-local']),
      cidr('224.0.0.0/8', 24, ['overlaps ["224.0.0.0/4"]', 'multicast']),
      cidr('ff02::/64', 80, ['overlaps ["ff00::/8"]', 'multicast']),
      cidr('255.255.255.0/24', 28, ['overlaps ["240.0.0.0/4"]', 'reserved']),
      ...shellTexts
        .map((text) => cidr(`9.0.0.0/8${text}`, 24, ['should match']))
        .map(([what, object, [field = '']]): Case => [
          JSON.stringify(what),
          object,
          [field, '9.0.0.0/8', 'should match'],
        ]),
    ],
  );
});

describe("a network's prefix", () => {
  const prefix = (cidr: string, length: number, says: string[], containerizers = ['CNI', 'Docker']): Case => [
    `${length} of ${cidr} for ${containerizers.join(' and ')}`,
    network({ subnets: [subnet(cidr, length)], containerizers }),
    says,
  ];
  const shorter = (length: number, own: number) => [
    'spec.subnets[0].prefix',
    `prefix ${length} of`,
    `must be longer than the cidr's own ${own}`,
  ];
  const longer = (length: number) => ['spec.subnets[0].prefix', `prefix ${length} of`, 'at most 20 longer'];
  refuses(
    () => plane,
    [
      prefix('9.0.0.0/8', 7, shorter(7, 8)),
      prefix('9.0.0.0/8', 8, shorter(8, 8)),
      prefix('fd01:b::/64', 48, shorter(48, 64)),
      prefix('9.0.0.0/8', 29, longer(29)),
      prefix('fd01:b::/64', 85, longer(85)),
      prefix('9.0.0.0/24', 30, [
        'spec.subnets',
        '9.0.0.0/24 (30)',
        'at most /29 (IPv4) and /125 (IPv6)',
        '["CNI", "Docker"]',
      ]),
      prefix('fd01:b::/112', 126, [
        'spec.subnets',
        'fd01:b::/112 (126)',
        'at most /29 (IPv4) and /125 (IPv6)',
      ]),
      prefix('9.0.0.0/24', 31, ['9.0.0.0/24 (31)', 'at most /30 (IPv4) and /126 (IPv6)', '["CNI"]'], ['CNI']),
      prefix('fd01:b::/112', 127, ['spec.subnets[0].prefix', '127', 'less than or equal to 126'], ['Docker']),
      prefix('9.0.0.0/8', 0, ['spec.subnets[0].prefix', '0', 'greater than or equal to 1']),
    ],
  );
});

describe('a network', () => {
  const many = Array.from({ length: 9 }, (_, i) => subnet(`10.${i}.0.0/16`, 24));
  refuses(
    () => plane,
    [
      ['without subnets', network({ subnets: [] }), ['spec.subnets', 'at least 1 item']],
      ['without the field subnets', network({ subnets: undefined }), ['spec.subnets', 'Required']],
      ['without spec', { kind: 'OverlayNetwork', metadata: { name: 'ovt-net' } }, ['spec', 'Required']],
      ['with nine subnets', network({ subnets: many }), ['spec.subnets', 'at most 8 items']],
      [
        'whose subnets overlap',
        network({
          subnets: [subnet('10.0.0.0/8', 24), subnet('fd01:b::/64', 80), subnet('10.9.0.0/16', 24)],
        }),
        ['spec.subnets', '["10.0.0.0/8", "10.9.0.0/16"]', 'overlap each other'],
      ],
      [
        'with one cidr twice',
        network({ subnets: [subnet('9.0.0.0/8', 24), subnet('9.0.0.0/8', 25)] }),
        ['spec.subnets[1]', 'Duplicate value', '9.0.0.0/8'],
      ],
      [
        'with an unknown state',
        network({ subnets: [subnet('9.0.0.0/8', 24, { state: 'Gone' })] }),
        ['spec.subnets[0].state', '"Gone"', '"Active", "Draining"'],
      ],
      ['without containerizers', network({ containerizers: [] }), ['spec.containerizers', 'at least 1 item']],
      [
        'with an unknown containerizer',
        network({ containerizers: ['LXC'] }),
        ['spec.containerizers[0]', '"LXC"', '"CNI", "Docker"'],
      ],
      [
        'with one containerizer twice',
        network({ containerizers: ['CNI', 'CNI'] }),
        ['spec.containerizers[1]', 'Duplicate value', '"CNI"'],
      ],
      [
        'with an unknown isolation',
        network({ isolation: { mode: 'Shut' } }),
        ['spec.isolation.mode', '"Shut"', '"Open", "Isolated"'],
      ],
      [
        'with a selector without values',
        network({ nodeSelector: { matchExpressions: [{ key: 'zone', operator: 'In' }] } }),
        ['spec.nodeSelector.matchExpressions[0]', '"zone In"', 'values'],
      ],
      ...shellTexts.flatMap((text): Case[] => [
        [
          `that allows ${JSON.stringify(text)}`,
          network({ isolation: { mode: 'Isolated', allow: [text] } }),
          ['spec.isolation.allow[0]', 'should match'],
        ],
        [
          `that selects nodes by ${JSON.stringify(text)}`,
          network({ nodeSelector: { matchLabels: { zone: text } } }),
          ['spec.nodeSelector.matchLabels.zone', 'should match'],
        ],
      ]),
    ],
  );
});

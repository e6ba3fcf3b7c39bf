import { network, shellTexts, subnet } from './manifests.ts';
import { form, outside, type ValidationCase } from './validationcase.ts';

const name = (text: string, crd: string[], operator: string): ValidationCase => ({
  what: `a network named ${JSON.stringify(text)}`,
  object: network({}, text),
  crd: ['metadata.name', ...crd],
  operator: `metadata.name: "${text}" ${operator}`,
});

const cidr = (text: string, prefix: number, crd: string[], operator: string): ValidationCase => ({
  what: `a network with the subnet ${JSON.stringify(text)}`,
  object: network({ subnets: [subnet(text, prefix)] }),
  crd: ['spec.subnets[0].cidr', ...crd],
  operator: `spec.subnets: ${operator}`,
});

const prefix = (
  text: string,
  length: number,
  crd: string[],
  operator: string,
  containerizers = ['CNI', 'Docker'],
): ValidationCase => ({
  what: `a network with prefix ${length} of ${text} for ${containerizers.join(' and ')}`,
  object: network({ subnets: [subnet(text, length)], containerizers }),
  crd: ['spec.subnets', ...crd],
  operator: `spec.subnets: ${text} has prefix ${length}, ${operator}`,
});

const notLabel = 'is not a DNS label of at most 13 characters';
const longer = (own: number) => `which must be longer than the subnet's ${own}`;
const tooLong = (own: number) => `which must be at most 20 longer than the subnet's ${own}`;
const noRoom = (most: number) => `which leaves no usable addresses; at most ${most}`;

/** OverlayNetworks that the API server and the operator both refuse. */
export const networkCases: ValidationCase[] = [
  name('abcdefghijklmn', ['"abcdefghijklmn"', '14 characters', 'at most 13'], notLabel),
  ...['host', 'bridge', 'default', 'none'].map((text) =>
    name(text, [`"${text}"`, 'reserved'], 'is reserved by Docker'),
  ),
  name('Dcos', ['"Dcos"', 'lowercase RFC 1123'], notLabel),
  name('a.b', ['"a.b"', 'must be a DNS label'], notLabel),
  ...shellTexts.map((text) => name(`a${text}`, ['RFC 1123'], notLabel)),
  cidr(
    '9.0.0.1/8',
    24,
    ['"9.0.0.1/8"', 'host bits set', 'the network is 9.0.0.0/8'],
    '"9.0.0.1/8" has host bits set; the subnet is 9.0.0.0/8',
  ),
  cidr(
    'fd01:b::1/64',
    80,
    ['host bits set', 'the network is fd01:b::/64'],
    '"fd01:b::1/64" has host bits set; the subnet is fd01:b::/64',
  ),
  cidr(
    'FD01:B::/64',
    80,
    ['canonical form (RFC 5952)', 'write fd01:b::/64'],
    '"FD01:B::/64" is not in canonical form (RFC 5952); write fd01:b::/64',
  ),
  cidr(
    'fd01:b:0:0::/64',
    80,
    ['canonical form (RFC 5952)', 'write fd01:b::/64'],
    '"fd01:b:0:0::/64" is not in canonical form (RFC 5952); write fd01:b::/64',
  ),
  cidr('9.0.0.0', 24, ['"9.0.0.0"', 'should match'], `"9.0.0.0" ${form}`),
  cidr('9.0.0.0/08', 24, ['is no CIDR such as 9.0.0.0/8'], `"9.0.0.0/08" ${form}`),
  cidr('09.0.0.0/8', 24, ['is no CIDR such as 9.0.0.0/8'], '"09.0.0.0" is not an IP address'),
  cidr('9.0.0/8', 24, ['is no CIDR such as 9.0.0.0/8'], '"9.0.0" is not an IP address'),
  cidr('9.0.0.0/33', 34, ['is no CIDR such as 9.0.0.0/8'], '"9.0.0.0/33": the length is over 32'),
  cidr(
    '::ffff:9.0.0.0/104',
    120,
    ['is no CIDR such as 9.0.0.0/8'],
    '"::ffff:9.0.0.0/104" is not in canonical form (RFC 5952); write ::ffff:900:0/104',
  ),
  cidr('fe80::%eth0/64', 80, ['should match'], '"fe80::%eth0" is not an IP address'),
  cidr('0.0.0.0/0', 8, ['overlaps', '0.0.0.0/8', 'unspecified'], '0.0.0.0/0 is the default route'),
  cidr('::/0', 8, ['overlaps', '::/8', 'unspecified'], '::/0 is the default route'),
  cidr('0.0.0.0/8', 16, ['overlaps ["0.0.0.0/8"]', 'unspecified'], `0.0.0.0/8 ${outside}`),
  cidr('127.0.0.0/8', 24, ['overlaps ["127.0.0.0/8"]', 'loopback'], `127.0.0.0/8 ${outside}`),
  cidr('126.0.0.0/7', 24, ['overlaps ["127.0.0.0/8"]', 'loopback'], '126.0.0.0/7 contains a reserved range'),
  cidr('127.5.0.0/16', 24, ['overlaps ["127.0.0.0/8"]', 'loopback'], `127.5.0.0/16 ${outside}`),
  cidr('::1/128', 129, ['overlaps ["::/8"]', 'loopback'], `::1/128 ${outside}`),
  cidr('169.254.0.0/16', 24, ['overlaps ["169.254.0.0/16"]', 'link-local'], `169.254.0.0/16 ${outside}`),
  cidr('fe80::/64', 80, ['overlaps ["fe80::/10"]', 'link-local'], `fe80::/64 ${outside}`),
  cidr('224.0.0.0/8', 24, ['overlaps ["224.0.0.0/4"]', 'multicast'], `224.0.0.0/8 ${outside}`),
  cidr('ff02::/64', 80, ['overlaps ["ff00::/8"]', 'multicast'], `ff02::/64 ${outside}`),
  cidr('255.255.255.0/24', 28, ['overlaps ["240.0.0.0/4"]', 'reserved'], `255.255.255.0/24 ${outside}`),
  ...shellTexts.map((text) =>
    cidr(`9.0.0.0/8${text}`, 24, ['9.0.0.0/8', 'should match'], `"9.0.0.0/8${text}" ${form}`),
  ),
  prefix('9.0.0.0/8', 7, ['[0].prefix', 'prefix 7 of', "must be longer than the cidr's own 8"], longer(8)),
  prefix('9.0.0.0/8', 8, ['[0].prefix', 'prefix 8 of', "must be longer than the cidr's own 8"], longer(8)),
  prefix(
    'fd01:b::/64',
    48,
    ['[0].prefix', 'prefix 48 of', "must be longer than the cidr's own 64"],
    longer(64),
  ),
  prefix('9.0.0.0/8', 29, ['[0].prefix', 'prefix 29 of', 'at most 20 longer'], tooLong(8)),
  prefix('fd01:b::/64', 85, ['[0].prefix', 'prefix 85 of', 'at most 20 longer'], tooLong(64)),
  prefix(
    '9.0.0.0/24',
    30,
    ['9.0.0.0/24 (30)', 'at most /29 (IPv4) and /125 (IPv6)', '["CNI", "Docker"]'],
    noRoom(29),
  ),
  prefix('fd01:b::/112', 126, ['fd01:b::/112 (126)', 'at most /29 (IPv4) and /125 (IPv6)'], noRoom(125)),
  prefix('9.0.0.0/24', 31, ['9.0.0.0/24 (31)', 'at most /30 (IPv4) and /126 (IPv6)', '["CNI"]'], noRoom(30), [
    'CNI',
  ]),
  prefix('fd01:b::/112', 127, ['[0].prefix', '127', 'less than or equal to 126'], noRoom(126), ['Docker']),
  prefix('9.0.0.0/8', 0, ['[0].prefix', '0', 'greater than or equal to 1'], longer(8)),
  {
    what: 'a network without subnets',
    object: network({ subnets: [] }),
    crd: ['spec.subnets', 'at least 1 item'],
    operator: 'spec.subnets: at least one is needed',
  },
  {
    what: 'a network whose subnets overlap',
    object: network({
      subnets: [subnet('10.0.0.0/8', 24), subnet('fd01:b::/64', 80), subnet('10.9.0.0/16', 24)],
    }),
    crd: ['spec.subnets', '["10.0.0.0/8", "10.9.0.0/16"]', 'overlap each other'],
    operator: 'spec.subnets: 10.9.0.0/16 overlaps another entry of this network',
  },
  {
    what: 'a network with one cidr twice',
    object: network({ subnets: [subnet('9.0.0.0/8', 24), subnet('9.0.0.0/8', 25)] }),
    crd: ['spec.subnets[1]', 'Duplicate value', '9.0.0.0/8'],
    operator: 'spec.subnets: 9.0.0.0/8 overlaps another entry of this network',
  },
  ...[0, 101].map((percent) => ({
    what: `a network that warns at ${percent} percent`,
    object: network({ warnAt: percent }),
    crd: ['spec.warnAt', String(percent)],
    operator: `spec.warnAt: ${percent} is not a percentage from 1 to 100`,
  })),
];

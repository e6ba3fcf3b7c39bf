import { config, network, shellTexts, subnet } from './manifests.ts';
import type { Manifest } from './dryrun.ts';

/**
 * An object, and what refuses it. The CRDs' rules and src/api/validate.ts say the same in words of their own, since an
 * older CRD may have let an object pass.
 */
interface ValidationCase {
  what: string;
  object: Manifest;
  /** What the API server's words contain: the field, the value, the rule. */
  crd: string[];
  /** What the operator says of it. */
  operator: string;
}

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
const outside = 'is loopback, link-local, multicast or reserved';
const form = 'is not of the form ADDRESS/LENGTH';
const longer = (own: number) => `which must be longer than the subnet's ${own}`;
const tooLong = (own: number) => `which must be at most 20 longer than the subnet's ${own}`;
const noRoom = (most: number) => `which leaves no usable addresses; at most ${most}`;

const networkCases: ValidationCase[] = [
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

const vtep = (what: string, vtepSubnets: string[], crd: string[], operator: string): ValidationCase => ({
  what: `an OverlayConfig with ${what}`,
  object: config({ vtepSubnets }),
  crd: ['spec.vtepSubnets', ...crd],
  operator: `spec.vtepSubnets: ${operator}`,
});

const oui = (vtepMACOUI: string, crd: string[], operator: string): ValidationCase => ({
  what: `an OverlayConfig with the OUI ${JSON.stringify(vtepMACOUI)}`,
  object: config({ vtepMACOUI }),
  crd: ['spec.vtepMACOUI', ...crd],
  operator: `spec.vtepMACOUI: "${vtepMACOUI}" ${operator}`,
});

const nodes = (text: string, crd: string[], operator: string): ValidationCase => ({
  what: `an OverlayConfig with the node subnet ${text}`,
  object: config({ nodeSubnets: [text] }),
  crd: ['spec.nodeSubnets[0]', `"${text}"`, ...crd],
  operator: `spec.nodeSubnets: ${operator}`,
});

const threeOctets = 'is not three octets followed by 00:00:00';

const configCases: ValidationCase[] = [
  vtep('no VTEP subnet', [], ['at least 1 item'], 'at least one is needed'),
  vtep(
    'three VTEP subnets',
    ['44.0.0.0/16', 'fd01::/64', '45.0.0.0/16'],
    ['at most 2 items'],
    '45.0.0.0/16 is the second of its family',
  ),
  vtep(
    'two VTEP subnets of one family',
    ['44.0.0.0/16', '45.0.0.0/16'],
    ['[44.0.0.0/16, 45.0.0.0/16]', 'at most one of each family'],
    '45.0.0.0/16 is the second of its family',
  ),
  vtep(
    'a VTEP subnet of /7',
    ['44.0.0.0/7'],
    ['[0]', '"44.0.0.0/7"', 'prefix length 7', '8 to 30'],
    '44.0.0.0/7 must be from /8 to /30',
  ),
  vtep(
    'a VTEP subnet of /31',
    ['44.0.0.0/31'],
    ['[0]', '"44.0.0.0/31"', '8 to 30'],
    '44.0.0.0/31 must be from /8 to /30',
  ),
  vtep(
    'a VTEP subnet of /127',
    ['fd01:a::/127'],
    ['[0]', '"fd01:a::/127"', '8 to 126'],
    'fd01:a::/127 must be from /8 to /126',
  ),
  vtep(
    'host bits in a VTEP subnet',
    ['44.128.0.1/20'],
    ['[0]', '"44.128.0.1/20"', 'host bits set; the network is 44.128.0.0/20'],
    '"44.128.0.1/20" has host bits set; the subnet is 44.128.0.0/20',
  ),
  vtep(
    'a VTEP subnet that is not canonical',
    ['FD01:A::/64'],
    ['[0]', '"FD01:A::/64"', 'write fd01:a::/64'],
    '"FD01:A::/64" is not in canonical form (RFC 5952); write fd01:a::/64',
  ),
  vtep(
    'a VTEP subnet that is no CIDR',
    ['44.128.0.0/99'],
    ['[0]', '"44.128.0.0/99"', 'no CIDR'],
    '"44.128.0.0/99": the length is over 32',
  ),
  vtep(
    'loopback for VTEPs',
    ['127.0.0.0/16'],
    ['[0]', '"127.0.0.0/16"', 'loopback'],
    `127.0.0.0/16 ${outside}`,
  ),
  ...shellTexts.map((text) =>
    vtep(`the VTEP subnet ${JSON.stringify(text)}`, [text], ['[0]', 'should match'], `"${text}" ${form}`),
  ),
  oui('70:B3:D5', ['"70:B3:D5"', 'three octets in hexadecimal and then 00:00:00'], threeOctets),
  oui('70:B3:D5:01:00:00', ['"70:B3:D5:01:00:00"', 'three octets'], threeOctets),
  oui('70-B3-D5-00-00-00', ['"70-B3-D5-00-00-00"', 'three octets'], threeOctets),
  ...shellTexts.map((text) => oui(text, ['three octets'], threeOctets)),
  oui(
    '71:B3:D5:00:00:00',
    ['"71:B3:D5:00:00:00"', 'multicast', 'must be even'],
    'is a multicast address; its first octet must be even',
  ),
  nodes(
    '172.17.0.2/16',
    ['host bits set; the network is 172.17.0.0/16'],
    '"172.17.0.2/16" has host bits set; the subnet is 172.17.0.0/16',
  ),
  nodes(
    'FD00:17::/64',
    ['write fd00:17::/64'],
    '"FD00:17::/64" is not in canonical form (RFC 5952); write fd00:17::/64',
  ),
  nodes('172.17.0.0/99', ['no CIDR'], '"172.17.0.0/99": the length is over 32'),
];

/** Objects that both refuse. */
export const refusedByBoth: readonly ValidationCase[] = [...networkCases, ...configCases];

/** Objects at the edge of a rule that both take. */
export const takenByBoth: readonly { what: string; object: Manifest }[] = [
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
  {
    what: 'node subnets of both families',
    object: config({ nodeSubnets: ['172.17.0.0/16', 'fd00:17::/64'] }),
  },
];

import { config, shellTexts } from './manifests.ts';
import { form, outside, type ValidationCase } from './validationcase.ts';

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

/** That many names of networks. */
export const list = (count: number): string => Array.from({ length: count }, (_, at) => `n${at}`).join();

const defaults = (what: string, defaultNetwork: string, crd: string[], operator: string): ValidationCase => ({
  what: `an OverlayConfig whose defaultNetwork ${what}`,
  object: config({ defaultNetwork }),
  crd: ['spec.defaultNetwork', ...crd],
  operator: `spec.defaultNetwork: "${defaultNetwork}" ${operator}`,
});

const notList = 'is not a comma list of networks without spaces';

const probes = (value: object, crd: string[], operator: string): ValidationCase => ({
  what: `an OverlayConfig with the probes ${JSON.stringify(value)}`,
  object: config({ probes: value }),
  crd: ['spec.probes', ...crd],
  operator: `spec.probes.${operator}`,
});

const threeOctets = 'is not three octets followed by 00:00:00';

/** OverlayConfigs that the API server and the operator both refuse. */
export const configCases: ValidationCase[] = [
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
  probes(
    { peers: 0 },
    ['peers', '0', 'greater than or equal to 1'],
    'peers: 0 is not a whole number from 1 to 32',
  ),
  probes(
    { peers: 33 },
    ['peers', '33', 'less than or equal to 32'],
    'peers: 33 is not a whole number from 1 to 32',
  ),
  ...['11s', '0.1ms'].map((slowAfter) =>
    probes(
      { peers: 5, slowAfter },
      ['slowAfter', `"${slowAfter}"`, 'must be from 1ms to 10s'],
      `slowAfter: "${slowAfter}" is not a duration from 1ms to 10s`,
    ),
  ),
  probes(
    { peers: 5, slowAfter: 'soon' },
    ['slowAfter', '"soon"', 'should match'],
    'slowAfter: "soon" is not a duration from 1ms to 10s',
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
  defaults(
    'names 17 networks',
    list(17),
    [`"${list(17)}" names 17 networks`, 'at most 16 are allowed', 'a container has at most 16 interfaces'],
    'names 17 networks; at most 16 are allowed, because a container has at most 16 interfaces',
  ),
  defaults('is empty', '', ['at least 1 chars'], notList),
  defaults('has a space', 'dcos, dcos6', ['should match'], notList),
  defaults('has an empty part', 'dcos,,dcos6', ['should match'], notList),
  defaults(
    'names a reserved network',
    'dcos,host',
    ['"dcos,host" must not name host, bridge, default or none', 'reserved'],
    'must not name host, bridge, default, none, which are reserved',
  ),
];

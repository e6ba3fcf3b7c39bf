import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { keptDifferences, type Kept } from '../../../src/inspect/consistency.ts';
import { readKept } from '../../../src/inspect/kept.ts';
import { attachment, node2, scratch } from '../../support/fixture.ts';

const record = attachment();
const [first] = record.interfaces;
const { host = '', network = '' } = first ?? {};
const address = first?.addresses.find((one) => !one.startsWith('fe80:')) ?? '';

const kept = (changes: Partial<Kept> = {}): Kept => ({
  attachments: [record],
  problems: [],
  leases: new Map([[network, [address]]]),
  links: new Set(['eth0', host]),
  young: new Set(),
  youngLeases: new Set(),
  ...changes,
});
const told = (changes: Partial<Kept> = {}, allocated = node2.networks ?? []) =>
  keptDifferences(kept(changes), allocated).map(({ is, kind, object }) => `${is} ${kind} ${object}`);

test('records, leases, links and blocks that agree give nothing', () => {
  expect(told()).toEqual([]);
});

test.each<[string, Partial<Kept>, string[]]>([
  ['a link that is gone', { links: new Set() }, [`Missing Port ${host}`]],
  ['a link without a record', { links: new Set([host, 'c-0000000000ff']) }, ['Foreign Port c-0000000000ff']],
  ['a record without a lease', { leases: new Map([[network, []]]) }, [`Missing Lease ${address}`]],
  [
    'a lease without a record',
    { leases: new Map([[network, [address, '9.0.1.99']]]) },
    ['Foreign Lease 9.0.1.99'],
  ],
  [
    'two records of one address',
    { attachments: [record, attachment({ containerID: 'f00d', pod: 'web-1' })] },
    [`Wrong Record ${address}`],
  ],
  ['leases that cannot be listed', { leases: new Map() }, []],
])('%s', (_, changes, expected) => {
  expect(told(changes)).toEqual(expected);
});

test('an address that is in no block of the node', () => {
  expect(told({}, [])).toEqual([`Wrong Record ${address}`]);
});

test('while a record cannot be read, no lease and no link is called foreign', () => {
  const problems = ['x.json: its version is not 1'];
  expect(told({ problems, attachments: [], leases: new Map([[network, ['9.0.1.99']]]) })).toEqual([]);
});

test('a container that starts or ends is ignored', () => {
  expect(told({ young: new Set(['cafe']), links: new Set() })).toEqual([]);
  expect(told({ young: new Set(['f00d']), links: new Set([host, 'c-0000000000ff']) })).toEqual([]);
  const leases = new Map([[network, [address, '9.0.1.99']]]);
  expect(told({ leases, youngLeases: new Set([`${network} 9.0.1.99`]) })).toEqual([]);
});

test('the files’ times tell which differences are new', () => {
  const at = scratch();
  try {
    mkdirSync(at.path('attachments'));
    mkdirSync(at.path(network));
    const file = at.path('attachments', 'cafe:eth0.json');
    writeFileSync(file, JSON.stringify(record));
    writeFileSync(at.path(network, '9.0.1.99'), 'f00d\neth0');
    writeFileSync(at.path(network, 'last_reserved_ip.0'), '9.0.1.99');
    const read = () =>
      readKept({ stateDir: at.dir, leaseDir: at.dir, links: () => new Set(['lo']) }, [network, 'other']);
    expect(read()).toMatchObject({ young: new Set(['cafe']), youngLeases: new Set([`${network} 9.0.1.99`]) });
    const old = new Date(Date.now() - 60_000);
    for (const one of [file, at.path(network, '9.0.1.99')]) utimesSync(one, old, old);
    expect(read()).toEqual({
      attachments: [record],
      problems: [],
      leases: new Map([
        [network, ['9.0.1.99']],
        ['other', []],
      ]),
      links: new Set(['lo']),
      young: new Set(),
      youngLeases: new Set(),
    });
  } finally {
    at.drop();
  }
});

import { interfaceName, isName, reservedNames } from '../../../src/net/name.ts';
import { readCrds, schemaOf, walk, type Schema } from '../../support/crds.ts';

const good = ['a', '0', 'dcos', 'a-b', 'a--b', 'abcdefghijklm'];
const bad = [
  ['', '-', '-a', 'a-', 'a.b', 'A', 'a_b', 'a b', 'a/b', 'a,', 'é', 'a\n'],
  ['abcdefghijklmn', 'abcdefghijkl-'],
].flat();
const samples = [...good, ...bad];

const schemas = [...readCrds()].flatMap(([kind, crd]) => [...walk(schemaOf(crd), kind)]);
const rules = schemas.flatMap(([, schema]) =>
  (schema['x-kubernetes-validations'] ?? []).map(({ rule }) => rule),
);

/** Those of the samples that a field of that schema takes. */
const taken = ({ pattern = '', maxLength = Infinity }: Schema, wrap = (name: string) => name) =>
  samples.filter((name) => wrap(name).length <= maxLength && new RegExp(pattern).test(wrap(name)));

test('a name is a DNS label of at most 13 characters', () => {
  expect(samples.filter(isName)).toEqual(good);
});

test('every field of the CRDs that has a name of a network takes those names and no others', () => {
  const fields = schemas.filter(([, { type, maxLength }]) => type === 'string' && maxLength === 13);
  expect(Object.fromEntries(fields.map(([path, schema]) => [path, taken(schema)]))).toEqual({
    'AgentAllocation.spec.networks[].name': good,
    'OverlayAgent.spec.networks[].name': good,
    'OverlayAgent.status.networks[].name': good,
    'OverlayReservation.spec.networks[].name': good,
    'OverlayNetwork.spec.isolation.allow[]': good,
    // empty for the VTEPs' own
    'AllocationLedger.spec.index.spaces[].network': [...good, ''],
    'OverlayConfig.status.quarantined[].network': [...good, ''],
  });
});

test('the CRD of OverlayNetworks takes those names and no others', () => {
  const rule = /metadata\.name\.size\(\) <= (\d+)/.exec(rules.join('\n'));
  const pattern = /self\.metadata\.name\.matches\('(\^\[a-z0-9\].*)'\)/.exec(rules.join('\n'));
  expect(taken({ type: 'string', pattern: pattern?.[1] ?? '', maxLength: Number(rule?.[1]) })).toEqual(good);
});

test('lists and pages are named by the same pattern', () => {
  const list = schemas.find(([path]) => path === 'OverlayConfig.spec.defaultNetwork')?.[1];
  expect(taken(list!, (name) => `dcos,${name}`)).toEqual(good);
  const page = /matches\('(\^\(vtep\|net-.*)'\)/.exec(rules.join('\n'));
  expect(taken({ type: 'string', pattern: page?.[1] ?? '' }, (name) => `net-${name}-7`)).toEqual(good);
});

test('the CRDs reserve the same names', () => {
  const lists = rules.flatMap((rule) => [...rule.matchAll(/in \[('host'[^\]]*)\]/g)].map(([, list]) => list));
  const text = [...reservedNames].map((name) => `'${name}'`).join(', ');
  expect(lists).toEqual([text, text]);
});

test('interfaces beside the first count from eth1 and leave out the name of the first', () => {
  const names = (first: string) => [0, 1, 2, 3].map((place) => interfaceName(first, place));
  expect(names('eth0')).toEqual(['eth0', 'eth1', 'eth2', 'eth3']);
  expect(names('eth2')).toEqual(['eth2', 'eth1', 'eth3', 'eth4']);
  expect(names('net1')).toEqual(['net1', 'eth1', 'eth2', 'eth3']);
  expect([0, 15].map((place) => interfaceName('eth3', place))).toEqual(['eth3', 'eth16']);
});

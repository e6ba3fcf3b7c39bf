import { registrationOf, SeenVersion } from '../../../src/report/registration.ts';
import { node2 } from '../../support/fixture.ts';

test('a registration tells the addresses in their order, the MTU, and what the node holds', () => {
  expect(
    registrationOf({
      addresses: ['172.17.0.4', 'fd00::4'],
      uplinkMTU: 1500,
      held: node2,
      docker: [],
      seenResourceVersion: '42',
    }),
  ).toEqual({
    addresses: ['172.17.0.4', 'fd00::4'],
    uplinkMTU: 1500,
    vtep: node2.vtep,
    networks: [
      { name: 'dcos', subnets: ['9.0.1.0/24'] },
      { name: 'dcos6', subnets: ['fd01:b:0:0:1::/80'] },
    ],
    seenResourceVersion: '42',
  });
});

test('a node without blocks registers none', () => {
  expect(
    registrationOf({
      addresses: ['10.0.0.1'],
      uplinkMTU: 9000,
      held: undefined,
      docker: [],
      seenResourceVersion: undefined,
    }),
  ).toEqual({
    addresses: ['10.0.0.1'],
    uplinkMTU: 9000,
  });
});

test("blocks that Docker's containers may still use are registered, even if they were withdrawn", () => {
  const { networks } = registrationOf({
    addresses: ['10.0.0.1'],
    uplinkMTU: 1500,
    held: node2,
    docker: [
      { name: 'gone', subnets: ['10.99.1.0/24'] },
      { name: 'dcos', subnets: ['9.0.7.0/24', '9.0.1.0/24'] },
    ],
    seenResourceVersion: undefined,
  });
  expect(networks).toEqual([
    { name: 'dcos', subnets: ['9.0.1.0/24', '9.0.7.0/24'] },
    { name: 'dcos6', subnets: ['fd01:b:0:0:1::/80'] },
    { name: 'gone', subnets: ['10.99.1.0/24'] },
  ]);
});

const versions = (a?: bigint, b?: bigint) =>
  new Map(
    Object.entries({ a, b }).flatMap(([kind, version]) => (version === undefined ? [] : [[kind, version]])),
  );

test('a kind that is listed lower than before means that the API server went back; one that lags does not', () => {
  const seen = new SeenVersion(undefined);
  expect(seen.observe(versions())).toEqual({ highest: undefined, wentBack: false });
  expect(seen.observe(versions(9n))).toEqual({ highest: '9', wentBack: false });
  expect(seen.observe(versions(20n, 10n))).toEqual({ highest: '20', wentBack: false });
  expect(seen.observe(versions(20n, 11n))).toEqual({ highest: '20', wentBack: false });
  expect(seen.observe(versions(20n, 10n))).toEqual({ highest: '20', wentBack: true });
});

test('an agent that starts compares first lists with what an agent before it saw', () => {
  expect(new SeenVersion('10').observe(versions(12n, 9n))).toEqual({ highest: '10', wentBack: true });
  expect(new SeenVersion('10').observe(versions(10n))).toEqual({ highest: '10', wentBack: false });
  expect(new SeenVersion('nonsense').observe(versions(9n))).toEqual({ highest: '9', wentBack: false });
});

test('the highest before it went back is said however far the API server counts, until that is accepted', () => {
  const seen = new SeenVersion('10');
  seen.observe(versions(5n));
  expect(seen.observe(versions(15n))).toEqual({ highest: '10', wentBack: true });
  seen.accept();
  expect(seen.observe(versions(15n))).toEqual({ highest: '15', wentBack: false });
  expect(seen.observe(versions(16n))).toEqual({ highest: '16', wentBack: false });
});

test('a registration repeats the id of the restore that it answers', () => {
  const own = { addresses: [], uplinkMTU: 1500, held: undefined, docker: [], seenResourceVersion: undefined };
  expect(registrationOf({ ...own, restore: 'r-1' })).toMatchObject({ restore: 'r-1' });
  expect(registrationOf(own)).not.toHaveProperty('restore');
});

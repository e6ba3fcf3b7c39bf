import { registrationOf, SeenVersion } from '../../../src/agent/registration.ts';
import { node2 } from './fixture.ts';

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

test('a node that holds nothing says nothing of it', () => {
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

test("blocks that Docker's containers may still have are held, whatever was withdrawn", () => {
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

test('the highest version seen only grows, and lower lists mean that the API server went back', () => {
  const seen = new SeenVersion(undefined);
  expect(seen.observe(undefined)).toEqual({ highest: undefined, wentBack: false });
  expect(seen.observe(9n)).toEqual({ highest: '9', wentBack: false });
  expect(seen.observe(10n)).toEqual({ highest: '10', wentBack: false });
  expect(seen.observe(9n)).toEqual({ highest: '10', wentBack: true });
  expect(new SeenVersion('10').observe(9n)).toEqual({ highest: '10', wentBack: true });
  expect(new SeenVersion('nonsense').observe(9n)).toEqual({ highest: '9', wentBack: false });
});

import { vtepAt, vtepCapacity, vtepIndex } from '../../../src/net/vtep.ts';

const both = ['44.128.0.0/20', 'fd01:a::/64'];
const oui = '70:B3:D5:00:00:00';

test('one index gives addresses of both families, lowest first, and the MAC from the IPv4 address', () => {
  expect(vtepAt(both, oui, 1)).toEqual({
    ip: '44.128.0.2/20',
    ip6: 'fd01:a::2/64',
    mac: '70:b3:d5:80:00:02',
  });
  expect(vtepAt([...both].reverse(), oui, 1)).toEqual(vtepAt(both, oui, 1));
});

test('without an IPv4 subnet the MAC comes from the IPv6 address', () => {
  expect(vtepAt(['fd01:a::/64'], oui, 0x12344)).toEqual({
    ip6: 'fd01:a::1:2345/64',
    mac: '70:b3:d5:01:23:45',
  });
});

test('the network and the broadcast address are no VTEP', () => {
  expect(vtepCapacity(['44.128.0.0/30'])).toBe(2);
  expect(vtepAt(['44.128.0.0/30'], oui, 0).ip).toBe('44.128.0.1/30');
  expect(vtepAt(['44.128.0.0/30'], oui, 1).ip).toBe('44.128.0.2/30');
  expect(vtepCapacity(both)).toBe(4094);
});

test('an address leads back to its index', () => {
  expect(vtepIndex(both, '44.128.0.2/20')).toBe(1);
  expect(vtepIndex(both, 'fd01:a::2/64')).toBe(1);
  expect(vtepIndex(both, '44.128.0.0/20')).toBeUndefined();
  expect(vtepIndex(both, '44.128.16.1/20')).toBeUndefined();
  expect(vtepIndex(both, '10.0.0.1/20')).toBeUndefined();
});

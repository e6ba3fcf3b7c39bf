import { containsCidr, overlapCidr } from 'cidr-tools';
import fc from 'fast-check';
import { formatAddress, parseAddress, type Family } from '../../../src/net/address.ts';
import {
  block,
  blockCount,
  blockIndex,
  cidrOf,
  contains,
  formatCidr,
  halves,
  overlaps,
  parseCidr,
  type Cidr,
} from '../../../src/net/cidr.ts';

const cidr: fc.Arbitrary<Cidr> = fc
  .constantFrom<Family>(4, 6)
  .chain((family) =>
    fc
      .tuple(
        fc.bigInt({ min: 0n, max: 2n ** (family === 4 ? 32n : 128n) - 1n }),
        fc.integer({ min: 0, max: family === 4 ? 32 : 128 }),
      )
      .map(([value, length]) => cidrOf({ family, value }, length)),
  );

test('text and value are each other’s inverse', () => {
  fc.assert(
    fc.property(cidr, (one) => {
      expect(parseCidr(formatCidr(one))).toEqual(one);
      expect(parseAddress(formatAddress({ family: one.family, value: one.base }))).toEqual({
        family: one.family,
        value: one.base,
      });
    }),
  );
});

test('overlap and containment agree with cidr-tools', () => {
  fc.assert(
    fc.property(cidr, cidr, fc.boolean(), (a, other, near) => {
      // two random subnets hardly ever meet: half of the time the second is drawn around the first
      const b = near
        ? cidrOf({ family: a.family, value: a.base }, Math.min(other.length, a.family === 4 ? 32 : 128))
        : other;
      if (a.family !== b.family) {
        expect(overlaps(a, b)).toBe(false);
        return;
      }
      expect(overlaps(a, b)).toBe(overlapCidr(formatCidr(a), formatCidr(b)));
      expect(contains(a, b)).toBe(containsCidr(formatCidr(a), formatCidr(b)));
    }),
  );
});

test('a block knows its index, lies in its subnet, and two of them never overlap', () => {
  const whole = parseCidr('fd01:b::/64');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 65535 }), fc.integer({ min: 0, max: 65535 }), (i, j) => {
      const [a, b] = [block(whole, 80, i), block(whole, 80, j)];
      expect(blockIndex(whole, 80, a)).toBe(i);
      expect(contains(whole, a)).toBe(true);
      expect(overlaps(a, b)).toBe(i === j);
    }),
  );
  expect(blockCount(whole, 80)).toBe(65536);
  expect(blockIndex(whole, 80, parseCidr('fd01:c::/80'))).toBeUndefined();
  expect(blockIndex(whole, 80, parseCidr('fd01:b::/81'))).toBeUndefined();
});

test('halves are the two blocks one bit longer', () => {
  expect(halves(parseCidr('9.0.1.0/24')).map(formatCidr)).toEqual(['9.0.1.0/25', '9.0.1.128/25']);
  expect(halves(parseCidr('fd01:b:0:0:2::/80')).map(formatCidr)).toEqual([
    'fd01:b:0:0:2::/81',
    'fd01:b::2:8000:0:0/81',
  ]);
});

test.each([
  ['9.0.0.1/8', '"9.0.0.1/8" has host bits set; the subnet is 9.0.0.0/8'],
  ['9.0.0.0/08', 'is not of the form'],
  ['9.0.0.0', 'is not of the form'],
  ['9.0.0.0/33', 'the length is over 32'],
  ['::/129', 'the length is over 128'],
  ['1.2.3/8', 'is not an IP address'],
  ['fe80::1%eth0/64', 'is not an IP address'],
  ['$(reboot)/8', 'is not an IP address'],
  ['', 'is not of the form'],
])('%s is refused: %s', (text, message) => {
  expect(() => parseCidr(text)).toThrow(message);
});

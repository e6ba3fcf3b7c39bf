import fc from 'fast-check';
import { Address4, Address6 } from 'ip-address';
import { parseAddress } from '../../../src/net/address.ts';

const library = (text: string): bigint | undefined => {
  try {
    return text.includes(':') ? new Address6(text).bigInt() : new Address4(text).bigInt();
  } catch {
    return undefined;
  }
};
const ours = (text: string): bigint | undefined => {
  try {
    return parseAddress(text).value;
  } catch {
    return undefined;
  }
};

const octet = fc.oneof(fc.nat({ max: 255 }).map(String), fc.constantFrom('256', '00', '01', '', '1000'));
const group = fc.oneof(
  fc.nat({ max: 0xffff }).map((value) => value.toString(16)),
  fc.constantFrom('', '0', '0000', 'FFFF', '10000', 'g', '1.2.3.4'),
);

test('the usual forms are read as the library reads them, and what it refuses is refused', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(octet, { minLength: 3, maxLength: 5 }).map((parts) => parts.join('.')),
        fc.array(group, { minLength: 1, maxLength: 9 }).map((parts) => parts.join(':')),
      ),
      (text) => {
        expect({ text, value: ours(text) }).toEqual({ text, value: library(text) });
      },
    ),
    { numRuns: 3_000 },
  );
});

test.each([
  '::',
  '::1',
  '1::',
  'fd01:b::',
  '1:2:3:4:5:6:7::',
  '::2:3:4:5:6:7:8',
  ':::',
  '1::2::3',
  ':1',
  '1:',
])('%s too', (text) => {
  expect(ours(text)).toBe(library(text));
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { overlaps, parseCidr } from '../../../src/net/cidr.ts';

/**
 * The files of test/lab share one lab, and blocks of a deleted network cool there for ten minutes. Until then the operator
 * refuses another network with the same range.
 */
test('no two files of test/lab use ranges that overlap', () => {
  const directory = join(import.meta.dirname, '..', '..', 'lab');
  const pattern = /\b10\.\d+\.\d+\.\d+\/\d+|\bfd[0-9a-f:]+::\/\d+/g;
  const ranges = readdirSync(directory)
    .filter((file) => file.endsWith('.test.ts'))
    .flatMap((file) => {
      const texts = new Set(readFileSync(join(directory, file), 'utf8').match(pattern));
      return [...texts].map((text) => ({ file, text, range: parseCidr(text) }));
    });
  expect(ranges.length).toBeGreaterThan(8);
  const clashes = ranges.flatMap((one, at) =>
    ranges
      .slice(at + 1)
      .filter((other) => other.file !== one.file && overlaps(one.range, other.range))
      .map((other) => `${one.text} in ${one.file} and ${other.text} in ${other.file}`),
  );
  expect(clashes).toEqual([]);
});

import fc from 'fast-check';
import { withCondition } from '../../../src/api/conditions.ts';
import { bounded, mostCharacters } from '../../../src/api/text.ts';

test('a text that fits stays as it is', () => {
  for (const text of ['', 'short', 'x'.repeat(mostCharacters), '🙂'.repeat(mostCharacters)]) {
    expect(bounded(text)).toBe(text);
  }
});

test('of a longer one the beginning stays, and the rest is counted', () => {
  expect(bounded('x'.repeat(32_768))).toBe(`${'x'.repeat(999)}… (31769 more characters)`);
});

test('for any text, the result is not longer than allowed, cuts no character in two, and counts every one left out', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 0, maxLength: 400 });
  fc.assert(
    fc.property(text, fc.integer({ min: 40, max: 200 }), (whole, most) => {
      const short = bounded(whole, most);
      const of = (one: string) => Array.from(one).length;
      expect(of(short)).toBeLessThanOrEqual(most);
      expect(short.isWellFormed()).toBe(true);
      if (short === whole) return;
      const [, kept = '', more = ''] = /^(.*)… \(([0-9]+) more characters\)$/s.exec(short)!;
      expect(whole.startsWith(kept)).toBe(true);
      expect(of(kept) + Number(more)).toBe(of(whole));
    }),
  );
});

test('a condition’s message is bounded, also if another program wrote it', () => {
  const message = `node7: ${'x'.repeat(32_768)}`;
  const [condition] = withCondition(
    [],
    { type: 'Ready', status: 'False', reason: 'AgentsFailed', message },
    't',
  );
  expect(condition!.message).toHaveLength(mostCharacters);
  expect(condition!.message).toMatch(/^node7: x+… \(31776 more characters\)$/);
});

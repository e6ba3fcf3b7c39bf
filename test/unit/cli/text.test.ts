import { age, harmless, harmlessIn, harmlessJSON } from '../../../src/cli/text.ts';

const hostile = 'a\u001b]0;x\u0007b\nc\u009b31m\u202ed';

test('control characters are escaped, in text, in JSON and in every part of a value', () => {
  const shown = 'a\\u001b]0;x\\u0007b\\u000ac\\u009b31m\\u202ed';
  expect(harmless(hostile)).toBe(shown);
  expect(harmless('web-0 ä 漢')).toBe('web-0 ä 漢');
  const json = harmlessJSON({ name: hostile });
  expect(json).toBe(`{\n  "name": "a\\u001b]0;x\\u0007b\\nc\\u009b31m\\u202ed"\n}`);
  expect(JSON.parse(json)).toEqual({ name: hostile });
  expect(harmlessIn({ list: [hostile, 1, null] })).toEqual({ list: [shown, 1, null] });
});

test.each([
  [0, '0s'],
  [119, '119s'],
  [120, '2m'],
  [200, '3m20s'],
  [3_600, '60m'],
  [10_800, '3h'],
  [12_600, '3h30m'],
  [86_400, '24h'],
  [172_800, '2d'],
  [180_000, '2d2h'],
  [864_000, '10d'],
  [63_072_000, '2y'],
  [65_664_000, '2y30d'],
])('%d seconds ago is %s, as kubectl says it', (seconds, text) => {
  const now = Date.UTC(2026, 0, 1);
  expect(age(new Date(now - seconds * 1_000).toISOString(), now)).toBe(text);
});

test('an invalid time, and one in the future, is shown as such', () => {
  expect(age('', 0)).toBe('<unknown>');
  expect(age('2026-01-01T00:00:00Z', 0)).toBe('<invalid>');
});

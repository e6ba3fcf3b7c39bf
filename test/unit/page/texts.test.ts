/** @jest-environment ./test/support/browser.ts */
import { readFileSync } from 'node:fs';
import { chinese } from '../../../src/page/chinese.ts';

const schema: unknown = JSON.parse(readFileSync('docs/reference/openapi.json', 'utf8'));

/** Returns the words that fields of these names may have, by the schema. */
function wordsOf(fields: readonly string[], of: unknown, found = new Set<string>()): Set<string> {
  if (typeof of !== 'object' || of === null) return found;
  for (const [name, value] of Object.entries(of)) {
    const words = (value as { enum?: string[] } | null)?.enum;
    if (fields.includes(name)) words?.forEach((word) => found.add(word));
    wordsOf(fields, value, found);
  }
  return found;
}

test('each state, weight and verdict that the page shows has a Chinese word', () => {
  const words = wordsOf(['state', 'isolation', 'weight', 'kernel', 'status', 'type', 'verdict'], schema);
  expect(words).toContain('Removed');
  expect([...words].filter((word) => !(word in chinese.states))).toEqual([]);
});

test('Chinese texts have Chinese punctuation', () => {
  const source = readFileSync('src/page/chinese.ts', 'utf8');
  const han = '[\\u4e00-\\u9fff]';
  expect(source.match(new RegExp(`.*(${han}[,:;(]|[,:;)]${han}).*`, 'g'))).toBeNull();
});

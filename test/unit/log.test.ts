import { expect, test } from '@jest/globals';
import { line } from '../../src/log.ts';

test('a line is time, level, component, message and fields, quoted where needed', () => {
  const fields = {
    node: 'n1',
    none: undefined,
    error: new Error('no route to host'),
    count: 3,
    list: ['a'],
    empty: '',
  };
  expect(line('T', 'warn', 'agent', 'two\nlines', fields)).toBe(
    String.raw`T warn agent two\nlines node=n1 error="no route to host" count=3 list="[\"a\"]" empty=""`,
  );
});

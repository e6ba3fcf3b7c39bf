import { parseText } from '../../../src/import/tree.ts';

test('many aliases are refused at once: each costs a walk through the whole document', () => {
  const { faults } = parseText(`a: &a x\nb:\n${'- *a\n'.repeat(1_001)}`);
  expect(faults.map(({ message }) => message)).toEqual(['there are more than 1000 aliases']);
});

test('a thousand aliases are read', () => {
  expect(parseText(`a: &a x\nb:\n${'- *a\n'.repeat(1_000)}`).faults).toEqual([]);
});

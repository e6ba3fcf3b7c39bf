import { sorted, Table, type Column } from '../../../src/cli/table.ts';

test('columns are aligned, three spaces apart; an empty value is <none>', () => {
  expect(
    new Table({ colours: false }).lines([
      ['NAME', 'STATE'],
      ['dcos-long', 'Ready'],
      ['a', ''],
    ]),
  ).toEqual(['NAME        STATE', 'dcos-long   Ready', 'a           <none>']);
});

test('rows that come later keep the widths', () => {
  const table = new Table({ colours: false });
  table.lines([['abcdef', 'x']]);
  expect(table.lines([['a', 'y']])).toEqual(['a        y']);
});

test('a state has its colour on a terminal, and a name can have no colour', () => {
  const [line] = new Table({ colours: true }).lines([['a\u001b[31m', 'Ready', 'x']]);
  expect(line).toBe('a\\u001b[31m   \u001b[32mReady\u001b[0m   x');
});

const columns: Column<{ name: string; fill: number }>[] = [
  { name: 'NAME', of: ({ name }) => name },
  { name: 'FILL', of: ({ fill }) => `${fill}%`, order: ({ fill }) => fill },
];
const rows = [
  { name: 'node10', fill: 9 },
  { name: 'node2', fill: 100 },
];

test('rows are sorted by a column, numbers by their value', () => {
  expect(sorted(rows, columns, 'name', 0).map(({ name }) => name)).toEqual(['node2', 'node10']);
  expect(sorted(rows, columns, 'FILL', 0).map(({ fill }) => fill)).toEqual([9, 100]);
});

test('an unknown column is refused, and the error lists the columns', () => {
  expect(() => sorted(rows, columns, 'size', 0)).toThrow(
    '--sort-by "size": no such column; there are name, fill',
  );
});

import { cellOf, indexOf, Picture } from '../../../src/page/hilbert.ts';

test.each([1, 2, 3, 5])(
  'order %i: each number has its own cell, and the cell gives the number back',
  (order) => {
    const all = Array.from({ length: 4 ** order }, (_, index) => cellOf(order, index));
    expect(new Set(all.map(String)).size).toBe(4 ** order);
    expect(all.map(([x, y]) => indexOf(order, x, y))).toEqual(all.map((_, index) => index));
  },
);

test('neighbours stay neighbours', () => {
  for (let index = 1; index < 4 ** 5; index++) {
    const [[x, y], [beforeX, beforeY]] = [cellOf(5, index), cellOf(5, index - 1)];
    expect(Math.abs(x - beforeX) + Math.abs(y - beforeY)).toBe(1);
  }
});

test('a quarter of the numbers is a quarter of the square, at every size', () => {
  for (const bits of [2, 4, 6, 8]) {
    const cells = Array.from({ length: 2 ** bits }, (_, at) => cellOf(5, at + 3 * 2 ** bits));
    const [xs, ys] = [cells.map(([x]) => x), cells.map(([, y]) => y)];
    for (const ends of [xs, ys]) expect(Math.max(...ends) - Math.min(...ends)).toBe(2 ** (bits / 2) - 1);
  }
});

test.each([0, 1, 2, 7, 8])('a picture of 2^%i numbers has a cell for each, and nothing beside it', (bits) => {
  const picture = new Picture(bits);
  expect(picture.columns * picture.rows).toBe(2 ** bits);
  for (let index = 0; index < 2 ** bits; index++) expect(picture.index(...picture.cell(index))).toBe(index);
  expect(picture.index(-1, 0)).toBeUndefined();
  expect(picture.index(picture.columns, 0)).toBeUndefined();
});

import { withCondition } from '../../../src/api/conditions.ts';
import { parseDuration } from '../../../src/api/duration.ts';
import { selects } from '../../../src/api/selector.ts';

test.each([
  ['10m', 600_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1_500],
  ['250ms', 250],
  ['10', undefined],
  ['m', undefined],
  ['10m x', undefined],
])('the duration %s is %s ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test('a selector takes what all its requirements take, and an absent one takes everything', () => {
  const labels = { zone: 'a', gpu: '' };
  expect(selects(undefined, labels)).toBe(true);
  expect(selects({ matchLabels: { zone: 'a' } }, labels)).toBe(true);
  expect(selects({ matchLabels: { zone: 'b' } }, labels)).toBe(false);
  expect(selects({ matchExpressions: [{ key: 'gpu', operator: 'Exists' }] }, labels)).toBe(true);
  expect(selects({ matchExpressions: [{ key: 'gpu', operator: 'DoesNotExist' }] }, labels)).toBe(false);
  expect(selects({ matchExpressions: [{ key: 'zone', operator: 'In', values: ['a', 'b'] }] }, labels)).toBe(
    true,
  );
  expect(selects({ matchExpressions: [{ key: 'disk', operator: 'NotIn', values: ['ssd'] }] }, labels)).toBe(
    true,
  );
  expect(selects({ matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['a'] }] }, labels)).toBe(
    false,
  );
});

test('a condition’s time moves only when its status does', () => {
  const no = { type: 'Ready', status: 'False', reason: 'A', message: 'a' } as const;
  const first = withCondition([], no, 't1');
  const second = withCondition(first, { ...no, reason: 'B', message: 'b' }, 't2', 3);
  expect(second).toEqual([
    { ...no, reason: 'B', message: 'b', lastTransitionTime: 't1', observedGeneration: 3 },
  ]);
  const third = withCondition(second, { ...no, status: 'True' }, 't3');
  expect(third[0]!.lastTransitionTime).toBe('t3');
});

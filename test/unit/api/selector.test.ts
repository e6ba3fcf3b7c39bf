import fc from 'fast-check';
import { selects } from '../../../src/api/selector.ts';
import type { LabelSelector } from '../../../src/api/types.ts';

type Requirement = NonNullable<LabelSelector['matchExpressions']>[number];

/** Names that every JavaScript object answers to, and ordinary ones. */
const key = fc.constantFrom(
  ...['constructor', 'toString', 'valueOf', 'hasOwnProperty', 'isPrototypeOf', 'toLocaleString'],
  ...['zone', 'gpu', 'example.org/tier'],
);
const value = fc.constantFrom('', 'a', 'b', 'function', 'true');
const labels = fc
  .dictionary(key, value, { noNullPrototype: true })
  // as they come from the API server
  .map((given) => JSON.parse(JSON.stringify(given)) as Record<string, string>);
const expression: fc.Arbitrary<Requirement> = fc.oneof(
  fc.record({
    key,
    operator: fc.constantFrom('In' as const, 'NotIn' as const),
    values: fc.array(value, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ key, operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const) }),
);
const selector: fc.Arbitrary<LabelSelector> = fc.record(
  {
    matchLabels: fc.dictionary(key, value, { noNullPrototype: true }),
    matchExpressions: fc.array(expression, { maxLength: 3 }),
  },
  { requiredKeys: [] },
);

/** Kubernetes' definition, over a list of pairs: no object is asked for a name. */
function byPairs({ matchLabels = {}, matchExpressions = [] }: LabelSelector, pairs: [string, string][]) {
  const has = (key: string, values?: string[]) =>
    pairs.some(([name, value]) => name === key && (values?.includes(value) ?? true));
  const holds = {
    In: (key: string, values: string[]) => has(key, values),
    NotIn: (key: string, values: string[]) => !has(key, values),
    Exists: (key: string) => has(key),
    DoesNotExist: (key: string) => !has(key),
  };
  return (
    Object.entries(matchLabels).every(([key, value]) => has(key, [value])) &&
    matchExpressions.every(({ key, operator, values = [] }) => holds[operator](key, values))
  );
}

test('a selector considers only the object’s labels, not JavaScript’s inherited properties', () => {
  fc.assert(
    fc.property(selector, labels, (wanted, given) => {
      expect(selects(wanted, given)).toBe(byPairs(wanted, Object.entries(given)));
    }),
    { numRuns: 2_000 },
  );
});

test('`constructor` is a label like any other', () => {
  const exists: LabelSelector = { matchExpressions: [{ key: 'constructor', operator: 'Exists' }] };
  expect(selects(exists, {})).toBe(false);
  expect(selects(exists)).toBe(false);
  expect(selects(exists, { constructor: 'yes' })).toBe(true);
});

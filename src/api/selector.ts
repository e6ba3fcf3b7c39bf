import type { LabelSelector } from './types.ts';

/** Whether a metav1.LabelSelector matches these labels; an absent or empty one matches all. */
export function selects(selector: LabelSelector | undefined, labels: Record<string, string> = {}): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  // only own properties count: every object inherits a `constructor`
  const valueOf = (key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  return (
    Object.entries(matchLabels).every(([key, value]) => valueOf(key) === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = valueOf(key);
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value);
        case 'NotIn':
          return value === undefined || !values.includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
      }
    })
  );
}

/** The selector as kubectl writes it: `team=a, tier in (web, db), !legacy`; `everything` if it matches all. */
export function selectorText({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const texts = [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(({ key, operator, values = [] }) => {
      switch (operator) {
        case 'In':
          return `${key} in (${values.join(', ')})`;
        case 'NotIn':
          return `${key} notin (${values.join(', ')})`;
        case 'Exists':
          return key;
        case 'DoesNotExist':
          return `!${key}`;
      }
    }),
  ];
  return texts.length === 0 ? 'everything' : texts.join(', ');
}

import { bounded } from './text.ts';
import type { Condition } from './types.ts';

/** The result of a check; `withCondition` adds the time of the change. */
export type Finding = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/**
 * The conditions with this one in its place; `lastTransitionTime` moves only when the status does. The message is
 * bounded: it may carry what a program printed or an agent says, and one that is too long would have the API server
 * refuse the whole status.
 */
export function withCondition(
  conditions: readonly Condition[] | undefined,
  finding: Finding,
  now: string,
  observedGeneration?: number,
): Condition[] {
  const old = conditions?.find(({ type }) => type === finding.type);
  const next: Condition = {
    ...finding,
    message: bounded(finding.message),
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
    lastTransitionTime: old?.status === finding.status ? old.lastTransitionTime : now,
  };
  if (old === undefined) return [...(conditions ?? []), next];
  return (conditions ?? []).map((condition) => (condition === old ? next : condition));
}

export const isTrue = (conditions: readonly Condition[] | undefined, type: string): boolean =>
  conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;

/** Adds findings that are bad if True. A False one is added only if the condition exists already. */
export const withRaised = (
  conditions: Condition[],
  findings: readonly Finding[],
  now: string,
  generation: number | undefined,
): Condition[] =>
  findings.reduce(
    (all, one) =>
      one.status === 'True' || all.some(({ type }) => type === one.type)
        ? withCondition(all, one, now, generation)
        : all,
    conditions,
  );

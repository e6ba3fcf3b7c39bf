import { table } from '../../../hack/testbed/table.ts';
import type { Counted } from '../kills.ts';
import type { Outcome } from './run.ts';

const total = (map: ReadonlyMap<string, number>) => [...map.values()].reduce((sum, one) => sum + one, 0);

const number = (value: number) => value.toLocaleString('en-US');

const each = (head: string, map: ReadonlyMap<string, number>): Counted[] =>
  [...map]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([what, value]) => ({ what: `${head}${what}`, value: number(value), ok: value > 0 }));

/** Returns the figures of a run. */
export function figures(outcome: Outcome, rounds: number): Counted[] {
  const { violations, longestRest } = outcome;
  const broken = (rule: string) => violations.filter((one) => one.rule === rule).length;
  const none = (what: string, rule: string): Counted => ({
    what,
    value: number(broken(rule)),
    ok: broken(rule) === 0,
  });
  return [
    { what: 'rounds', value: number(outcome.rounds), ok: outcome.rounds === rounds },
    {
      what: 'changes read, from the first revision on',
      value: number(outcome.changes),
      ok: outcome.changes > 0,
    },
    { what: 'at revision', value: number(outcome.revision), ok: outcome.revision > 0 },
    ...each('done to the cluster: ', outcome.actions),
    { what: 'of these refused by the API server', value: number(outcome.refused), ok: true },
    { what: 'writes of operators', value: number(total(outcome.writes)), ok: total(outcome.writes) > 0 },
    ...each('  ', outcome.writes),
    { what: 'operators paused beyond their Lease', value: number(total(outcome.pauses)), ok: true },
    ...each('  at ', outcome.pauses),
    { what: 'operators killed', value: number(outcome.kills), ok: true },
    { what: "faults of the API server's and the network's", value: number(total(outcome.faults)), ok: true },
    ...each('  ', outcome.faults),
    { what: 'rests', value: number(outcome.rests), ok: outcome.rests > 0 },
    {
      what: 'longest until all had converged',
      value: `${(longestRest / 1000).toFixed(1)} s`,
      ok: broken('not converged') === 0,
    },
    none('two nodes shown one block or VTEP', 'overlap'),
    none("shown what is not the node's own", 'not its own'),
    none('in use and freed', 'freed in use'),
    none('not as it should be at rest', 'not converged'),
    none('ended before its time', 'ended'),
  ];
}

export function renderCounted(counted: readonly Counted[]): string {
  return table(counted.map(({ what, value, ok }) => [what, value, ok ? 'ok' : 'FAILED']));
}

/** Describes the first violations and the changes before them. */
export function renderViolations({ violations }: Outcome): string {
  return violations
    .slice(0, 3)
    .map(({ rule, revision, what, story }) =>
      [`revision ${revision}: ${rule}: ${what}`, ...story.slice(0, 40).map((line) => `    ${line}`)].join(
        '\n',
      ),
    )
    .join('\n');
}

import type { Change } from './change.ts';
import { permits } from './isolation.ts';
import { membersPrefix } from './ownership.ts';
import type { Failure } from './state.ts';

/** Changes that take away what is not wanted. */
const removals: ReadonlySet<Change['kind']> = new Set([
  'deleteLink',
  'deleteAddress',
  'deleteNeighbour',
  'deleteNexthop',
  'deleteRoute',
  'clearRoute',
  'deleteRule',
  'deleteFDB',
  'deleteEntry',
  'destroySet',
]);

/** The effects of a failed change, besides the retry. */
export function meaningOf(change: Change): Pick<Failure, 'leftover' | 'rules'> {
  const guards = change.kind === 'createSet' || change.kind === 'addEntry';
  // packets that should no longer pass still do
  const permitting =
    change.kind === 'deleteEntry' && (permits(change.name) === true || change.name.startsWith(membersPrefix));
  if (guards || permitting) return { rules: true };
  return removals.has(change.kind) ? { leftover: true } : {};
}

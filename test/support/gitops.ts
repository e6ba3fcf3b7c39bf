import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { KubeObject } from '../../src/api/types.ts';
import { recorded } from './recorded.ts';

/** Objects of a real run in each state that deploy/gitops must tell apart, and what Argo CD and Flux must say of them. */

export const gitops = (file: string): unknown => parse(readFileSync(`deploy/gitops/${file}`, 'utf8'));
const networks = recorded('overlaynetworks');
const reservations = recorded('overlayreservations');
export const network = (name: string) => networks.find(({ metadata }) => metadata.name === name)!;
export const reservation = (name: string) => reservations.find(({ metadata }) => metadata.name === name)!;
export const [config] = recorded('overlayconfigs') as [KubeObject];
export const unseenYet = 'the operator has not looked at it yet';

export interface Conditions {
  status?: { conditions?: { type: string }[] };
}

/** Returns the object with these conditions in place of its own ones of these types. */
export function having<T extends object>(object: T, ...conditions: { type: string }[]): T {
  const { status } = object as Conditions;
  const types = conditions.map(({ type }) => type);
  const others = (status?.conditions ?? []).filter(({ type }) => !types.includes(type));
  return { ...object, status: { ...status, conditions: [...others, ...conditions] } };
}

/** Returns the object without its condition of this type. */
function lacking<T extends object>(object: T, type: string): T {
  const { status } = object as Conditions;
  return {
    ...object,
    status: { ...status, conditions: (status?.conditions ?? []).filter((one) => one.type !== type) },
  };
}

/** Returns a condition that no run left. */
export function condition(type: string, status = 'True', reason = 'Tried') {
  return {
    type,
    status,
    reason,
    message: `${type} it is`,
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
}

/** An object that works, of each kind that people apply. */
export const fine: readonly [what: string, object: KubeObject][] = [
  ['a network', network('dcos6')],
  ['the configuration', config],
  ['a reservation', reservation('bound')],
];

/** Returns the object as a user has just changed it. */
export const changed = (object: KubeObject): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, generation: (object.metadata.generation ?? 0) + 1 },
});

/** The object, Argo CD's health, a part of its message, and Flux's verdict. */
type State = [what: string, object: KubeObject, health: string, words: string, verdict: string];

/** States in which the run left objects. */
const leftStates: readonly State[] = [
  ['a network is fine', network('dcos6'), 'Healthy', '3 of 3 agents ready', 'current'],
  ['a network is disabled', network('disabled'), 'Healthy', 'spec.enabled is false', 'current'],
  ['a network is on no node', network('nowhere'), 'Healthy', 'no registered node', 'current'],
  ['a network is refused', network('refused'), 'Degraded', '9.128.0.0/16 overlaps 9.0.0.0/8', 'failed'],
  ['a network has no free block', network('full'), 'Degraded', '2 held, 0 free', 'failed'],
  ['a network waits for an agent', network('waiting'), 'Progressing', '2 of 3 agents', 'inProgress'],
  ['the configuration is fine', config, 'Healthy', 'every registered node has a VTEP', 'current'],
  ['a node has what is reserved', reservation('bound'), 'Healthy', 'node node2 has all of it', 'current'],
  ['a reservation is kept', reservation('kept'), 'Healthy', 'there is no Node node7 yet', 'current'],
  ['a reservation is over', reservation('over'), 'Healthy', 'spec.expiresAt is over', 'current'],
  ['a reservation waits', reservation('early'), 'Progressing', 'there is no network later', 'none'],
  ['a reservation is refused', reservation('taken'), 'Degraded', 'is held by node node2', 'failed'],
];

/** States that no run left, as changes of objects that one left. */
const further: readonly State[] = [
  ...fine.slice(0, 2).flatMap(([what, object]): State[] => [
    [`${what} is stalled`, having(object, condition('Stalled')), 'Degraded', 'Stalled it is', 'failed'],
    [
      `${what} is being reconciled`,
      having(object, condition('Reconciling')),
      ...(['Progressing', 'Reconciling it is', 'inProgress'] as const),
    ],
    [`${what} is not ready`, having(object, condition('Ready', 'False')), 'Progressing', unseenYet, 'none'],
    [
      `${what} is not accepted`,
      having(object, condition('Accepted', 'False')),
      ...(['Progressing', unseenYet, 'none'] as const),
    ],
    [`${what} lacks Accepted`, lacking(object, 'Accepted'), 'Progressing', unseenYet, 'none'],
    [`${what} lacks Ready`, lacking(object, 'Ready'), 'Progressing', unseenYet, 'none'],
    [
      `${what} has a condition Stalled that ended`,
      having(object, condition('Stalled', 'False'), condition('Reconciling', 'False')),
      ...(['Healthy', '', 'current'] as const),
    ],
  ]),
  ...['Restored', 'Degraded', 'Quarantined'].flatMap((alarm): State[] => [
    [
      `the configuration has the alarm ${alarm}`,
      having(config, condition(alarm)),
      ...(['Degraded', `${alarm} it is`, 'failed'] as const),
    ],
    [
      `the configuration had the alarm ${alarm}`,
      having(config, condition(alarm, 'False')),
      ...(['Healthy', '', 'current'] as const),
    ],
  ]),
  ...['Accepted', 'Reserved'].map((type): State => [
    `a reservation lacks ${type}`,
    lacking(reservation('early'), type),
    ...(['Progressing', unseenYet, 'none'] as const),
  ]),
  [
    'the configuration has two alarms',
    having(config, condition('Restored'), condition('Degraded')),
    ...(['Degraded', 'Restored it is', 'failed'] as const),
  ],
  [
    'a reservation is not over although its Bound says so',
    having(reservation('early'), condition('Bound', 'False', 'Expired')),
    ...(['Progressing', 'there is no network later', 'none'] as const),
  ],
  [
    'a reservation lacks Bound',
    lacking(reservation('kept'), 'Bound'),
    ...(['Healthy', 'the ledger has all of it for node node7', 'current'] as const),
  ],
];

/** Every state. */
export const states: readonly State[] = [...leftStates, ...further];

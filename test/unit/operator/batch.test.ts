import { expect, test } from '@jest/globals';
import type { Write } from '../../../src/allocate/view.ts';
import type { AgentAllocationSpec } from '../../../src/api/types.ts';
import { nextBatch } from '../../../src/operator/batch.ts';

const empty: AgentAllocationSpec = { revision: 1, nodeUID: 'uid', addresses: ['172.17.0.2'] };
const full: AgentAllocationSpec = { ...empty, vtep: { mac: '70:b3:d5:80:00:01' }, networks: [] };
const update = (node: string, shown: AgentAllocationSpec): Write => ({
  kind: 'update-allocation',
  node,
  over: { metadata: { name: node }, spec: shown },
  spec: full,
  withdraws: [],
});
const rollout = Array.from({ length: 300 }, (_, at) => update(`node${at}`, full));

test('writes that a node waits for are sent without the less urgent ones', () => {
  const joins = [update('late', empty), { kind: 'write-page', name: 'vtep-0' } as Write];
  expect(nextBatch([...rollout, ...joins])).toEqual(joins);
});

test('a roll-out alone is sent two hundred writes at a time', () => {
  expect(nextBatch(rollout)).toEqual(rollout.slice(0, 200));
});

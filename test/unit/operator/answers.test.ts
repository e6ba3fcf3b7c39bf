import { expect, test } from '@jest/globals';
import type { OverlayAgent, OverlayAgentSpec } from '../../../src/api/types.ts';
import { isAnswer } from '../../../src/operator/caches.ts';

const agent = (
  spec: Partial<OverlayAgentSpec>,
  metadata: Partial<OverlayAgent['metadata']> = {},
): OverlayAgent => ({
  apiVersion: 'overlaynet.dev/v1alpha1',
  kind: 'OverlayAgent',
  metadata: { name: 'node1', uid: 'uid-1', generation: 1, ...metadata },
  spec: { addresses: ['172.17.0.2'], uplinkMTU: 1500, ...spec },
});

const before = agent({});
const held: Partial<OverlayAgentSpec> = {
  vtep: { ip: '44.128.0.1/20', mac: '70:b3:d5:80:00:01' },
  networks: [{ name: 'dcos', subnets: ['9.0.0.0/24'] }],
  seenResourceVersion: '120',
};

test('an agent that reports only what it holds keeps no one waiting', () => {
  expect(isAnswer(agent(held, { generation: 2 }), before)).toBe(true);
});

test.each([
  ['is new', agent(held), undefined],
  ['is gone', undefined, before],
  ['has another address', agent({ ...held, addresses: ['172.17.0.9'] }, { generation: 2 }), before],
  ['has another MTU', agent({ ...held, uplinkMTU: 9000 }, { generation: 2 }), before],
  ['answers a restore', agent({ ...held, restore: 'id' }, { generation: 2 }), before],
  ['was made anew', agent(held, { generation: 1, uid: 'uid-2' }), before],
  ['goes', agent(held, { generation: 2, deletionTimestamp: '2026-01-01T00:00:00Z' }), before],
])('one that %s is looked at at once', (_what, now, old) => {
  expect(isAnswer(now, old)).toBe(false);
});

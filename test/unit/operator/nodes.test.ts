import { afterEach, expect, jest, test } from '@jest/globals';
import type { OverlayAgent } from '../../../src/api/types.ts';
import type { Client } from '../../../src/kube/client.ts';
import type { Node } from '../../../src/kube/resources.ts';
import { NodeAddresses } from '../../../src/operator/nodes.ts';

const start = Date.parse('2026-01-01T00:00:00Z');
const names = Array.from({ length: 60 }, (_, at) => `node${at}`);
const uidOf = (name: string) => `uid-${name}`;
const facts = new Map(
  names.map((name) => [name, { name, uid: uidOf(name), labels: {}, creationTimestamp: '' }]),
);
const agents = new Map<string, OverlayAgent>();

afterEach(() => {
  jest.useRealTimers();
});

test('a list of Nodes that takes forty seconds is believed for thirty more', async () => {
  jest.useFakeTimers({ now: start });
  const items: Node[] = names.map((name) => ({
    metadata: { name, uid: uidOf(name) },
    status: { addresses: [{ type: 'InternalIP', address: '172.17.0.2' }] },
  }));
  const slow = {
    get: () => Promise.resolve(undefined),
    list: () => {
      jest.setSystemTime(start + 40_000);
      return Promise.resolve({ items, resourceVersion: '1' });
    },
  } as unknown as Client;
  const addresses = new NodeAddresses(slow);
  await addresses.read(names, agents);
  expect(addresses.current(facts, agents, start + 40_000).size).toBe(60);
  expect(addresses.current(facts, agents, start + 69_000).size).toBe(60);
  expect(addresses.current(facts, agents, start + 71_000).size).toBe(0);
});

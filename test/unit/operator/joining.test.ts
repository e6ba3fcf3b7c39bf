import type { AgentAllocation, KubeObject } from '../../../src/api/types.ts';
import { followJoining } from '../../../src/operator/joining.ts';

type Handler = (name: string, object: KubeObject | undefined, old: KubeObject | undefined) => void;

/** Caches whose objects come by hand, and a clock. */
function followed() {
  const handlers: Record<'agents' | 'allocations', Handler[]> = { agents: [], allocations: [] };
  const stored = new Map<string, AgentAllocation>();
  const measured: number[] = [];
  const at = { ms: 0 };
  const caches = {
    synced: true,
    agents: { onChange: (handler: Handler) => handlers.agents.push(handler) },
    allocations: {
      onChange: (handler: Handler) => handlers.allocations.push(handler),
      get: (name: string) => stored.get(name),
    },
  };
  followJoining(
    caches as unknown as Parameters<typeof followJoining>[0],
    (seconds) => measured.push(seconds),
    () => at.ms,
  );
  const object = { metadata: { name: 'node1' } };
  return {
    caches,
    at,
    measured,
    registers: (old?: KubeObject) => {
      for (const handler of handlers.agents) handler('node1', object, old);
    },
    leaves: () => {
      for (const handler of handlers.agents) handler('node1', undefined, object);
    },
    shown: (vtep?: { mac: string }) => {
      const allocation = { ...object, spec: { vtep } } as AgentAllocation;
      stored.set('node1', allocation);
      for (const handler of handlers.allocations) handler('node1', allocation, undefined);
    },
  };
}
const vtep = { mac: '70:b3:d5:00:00:01' };

test('the time from registration to tunnel endpoint is measured once', () => {
  const cluster = followed();
  cluster.registers();
  cluster.shown();
  cluster.at.ms = 250;
  cluster.shown(vtep);
  cluster.at.ms = 900;
  cluster.shown(vtep);
  cluster.registers({ metadata: { name: 'node1' } });
  expect(cluster.measured).toEqual([0.25]);
});

test('agents that joined before, have an allocation already, or left are not measured', () => {
  const cluster = followed();
  cluster.caches.synced = false;
  cluster.registers();
  cluster.shown(vtep);
  cluster.caches.synced = true;
  cluster.registers();
  cluster.shown(vtep);
  expect(cluster.measured).toEqual([]);
  const other = followed();
  other.registers();
  other.leaves();
  other.shown(vtep);
  expect(other.measured).toEqual([]);
});

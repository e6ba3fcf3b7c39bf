import { setTimeout as sleep } from 'node:timers/promises';
import { agentAllocations, allocationLedgers } from '../../../src/kube/resources.ts';
import { say } from '../../parts/progress.ts';
import { Arena } from './arena.ts';
import { Dice } from './dice.ts';
import { mark } from './history.ts';
import type { Violation } from './judge.ts';

/** Updates that the leader makes before it falls asleep, and those that are under way meanwhile. */
const before = 30;

/** Long enough that the second leader stays the only one, also on a busy machine. */
const steady = { duration: 8_000, deadline: 7_000, retry: 300 };

/**
 * The story that once broke the promise, from its beginning to its end: a leader falls asleep in the middle of a network's
 * roll-out; another finishes it, takes blocks back and gives them to new nodes; then the first one wakes up with the rest
 * of its writes still in its queue.
 */
export async function sleeperStory(options: { nodes: number; bundle: string; logs?: string }): Promise<{
  taken: number;
  violations: Violation[];
}> {
  const arena = await Arena.start({ ...options, operators: 2, dice: new Dice('story'), lease: steady });
  try {
    const { cluster, judge, plane } = arena;
    await cluster.join(options.nodes, () => ({ role: 'a' }));
    await until(
      arena,
      'every node has its VTEP',
      async () => (await shown(arena, 'vtep')).size === options.nodes,
    );
    const sleeper = arena.operators.leader;
    if (sleeper === undefined) throw new Error('nobody leads');
    const asleep = Promise.withResolvers<undefined>();
    let passed = 0;
    sleeper.proxy.ambush = {
      moment: 'sent',
      matches: (write) => write === 'update agentallocations' && ++passed > before,
      spring: (): Promise<void> => {
        sleeper.stop();
        asleep.resolve(undefined);
        return Promise.resolve();
      },
    };
    const nodeSelector = { matchLabels: { role: 'a' } };
    const subnets = [{ cidr: '9.1.0.0/16', prefix: 24, state: 'Active' as const }];
    await cluster.apply('red', { subnets, nodeSelector });
    await asleep.promise;
    say('the leader sleeps');
    const done = await shown(arena, 'red');
    const left = [...cluster.machines.keys()].filter((name) => !done.has(name));
    // the last in its queue: until it comes to them its caches have followed what happened meanwhile
    const losers = left.slice(Math.floor(left.length / 2));
    // the ledger has given them their blocks, and nobody has shown them yet: the other withdraws them by one write
    await Promise.all(losers.map((name) => cluster.label(name, { role: 'b' })));
    const count = options.nodes - losers.length;
    await until(arena, 'the other finishes it', async () => (await shown(arena, 'red')).size === count);
    await until(arena, 'blocks are taken back', async () => (await entries(arena)).size === count);
    await cluster.join(losers.length, () => ({ role: 'a' }));
    await until(
      arena,
      'they are given to new nodes',
      async () => (await shown(arena, 'red')).size === options.nodes,
    );
    sleeper.wake();
    await sleep(3_000);
    const revision = await mark(plane.etcd.url, 'the sleeper has had its time');
    while (judge.revision < revision) await sleep(10);
    return { taken: losers.length, violations: judge.violations };
  } finally {
    await arena.end();
  }
}

/** Nodes whose AgentAllocation shows a VTEP, or a block of that network. */
async function shown({ plane }: Arena, what: string): Promise<Set<string>> {
  const { items } = await plane.client.list(agentAllocations);
  return new Set(
    items
      .filter(({ spec }) =>
        what === 'vtep' ? spec.vtep !== undefined : spec.networks?.some(({ name }) => name === what) === true,
      )
      .map(({ metadata }) => metadata.name),
  );
}

/** Blocks of the network that the ledger says anything of. */
async function entries({ plane }: Arena): Promise<Set<number>> {
  const { items } = await plane.client.list(allocationLedgers);
  const pages = items.filter(({ metadata }) => metadata.name.startsWith('net-'));
  return new Set(pages.flatMap(({ spec }) => (spec.page?.blocks ?? []).map(({ index }) => index)));
}

async function until(arena: Arena, what: string, probe: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 90_000;
  while (!(await probe())) {
    arena.check();
    if (performance.now() > end) throw new Error(`${what}: not within 90 s`);
    await sleep(100);
  }
  say(what);
}

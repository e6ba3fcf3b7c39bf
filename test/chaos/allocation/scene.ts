import { setTimeout as sleep } from 'node:timers/promises';
import { agentAllocations, allocationLedgers, leases } from '../../../src/kube/resources.ts';
import { say } from '../../../hack/parts/progress.ts';
import type { Arena } from './arena.ts';
import { mark } from './history.ts';
import type { LeaseTimes, Operator } from './operators.ts';

/** A fixed sequence of events that chance would rarely produce. */
export interface Story {
  name: string;
  lease: LeaseTimes;
  /** Names of broken operators that break a rule in it. */
  catches: readonly string[];
  /** @throws Error if a step did not happen */
  tell(arena: Arena): Promise<void>;
}

/** The network of every story, for nodes of role `a`. */
export const red = {
  subnets: [{ cidr: '9.1.0.0/16', prefix: 24, state: 'Active' as const }],
  nodeSelector: { matchLabels: { role: 'a' } },
};

/** Long enough that an operator that does not hear of another leader still believes that it leads. */
export const longLease: LeaseTimes = { duration: 30_000, deadline: 25_000, retry: 300 };

const leaseName = 'overlaynet-operator';

/** Adds nodes and waits until they have VTEPs. */
export async function settle(arena: Arena, count: number, role = 'a'): Promise<void> {
  await arena.cluster.join(count, () => ({ role }));
  const all = arena.cluster.machines.size;
  await until(arena, 'every node has its VTEP', async () => (await shown(arena, 'vtep')).size === all);
}

/** Applies the network and waits until that many nodes have their blocks of it. */
export async function rollOut(arena: Arena, count: number): Promise<void> {
  await arena.cluster.apply('red', red);
  await until(arena, 'red is rolled out', async () => (await shown(arena, 'red')).size === count);
}

export const getsBlock = (arena: Arena, node: string): Promise<void> =>
  until(arena, `${node} is shown a block`, async () => (await shown(arena, 'red')).has(node));

/** Returns the nodes whose AgentAllocation has a VTEP, or a block of that network. */
export async function shown({ plane }: Arena, what: string): Promise<Set<string>> {
  const { items } = await plane.client.list(agentAllocations);
  return new Set(
    items
      .filter(({ spec }) =>
        what === 'vtep' ? spec.vtep !== undefined : spec.networks?.some(({ name }) => name === what) === true,
      )
      .map(({ metadata }) => metadata.name),
  );
}

/** Returns the node of each of a network's blocks in the ledger, by the block's index. */
export async function entries({ plane }: Arena): Promise<Map<number, string>> {
  const { items } = await plane.client.list(allocationLedgers);
  const pages = items.filter(({ metadata }) => metadata.name.startsWith('net-'));
  return new Map(
    pages.flatMap(({ spec }) => (spec.page?.blocks ?? []).map(({ index, node }) => [index, node] as const)),
  );
}

export const leaderOf = ({ operators }: Arena): Operator => {
  const { leader } = operators;
  if (leader === undefined) throw new Error('no operator leads');
  return leader;
};

/**
 * Makes two operators lead: deletes the Lease, so that another operator acquires it, while the first one does not hear
 * of that.
 * @returns a function that throws once the first one has given up
 */
export async function twoLeaders(arena: Arena): Promise<() => void> {
  const first = leaderOf(arena);
  const resource = leases('overlaynet-system');
  first.proxy.hold('request', (_method, path) => path.includes('/leases'));
  const since = performance.now();
  const { client } = arena.plane;
  await client.delete(resource, leaseName);
  await until(arena, 'another leads', async () => {
    const holder = (await client.get(resource, leaseName))?.spec?.holderIdentity ?? '';
    return holder !== '' && holder !== first.identity;
  });
  return () => {
    if (performance.now() - since > longLease.deadline - longLease.retry * 2)
      throw new Error('the first leader has given up by now: this machine is too slow for the story');
  };
}

/** Matches the path of one AgentAllocation, without its status. */
export const allocationOf =
  (node: string) =>
  (_method: string, path: string): boolean =>
    path.endsWith(`/agentallocations/${node}`);

/** Waits, so that the operators may make a mistake and the judge may read it. */
export async function aWhile({ plane, judge }: Arena, ms: number): Promise<void> {
  await sleep(ms);
  const revision = await mark(plane.etcd.url, 'the story has had its time');
  while (judge.revision < revision) await sleep(10);
}

export async function until(
  arena: Arena,
  what: string,
  probe: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = performance.now() + 90_000;
  while (!(await probe())) {
    arena.check();
    if (performance.now() > end) throw new Error(`${what}: not within 90 s`);
    await sleep(50);
  }
  say(what);
}

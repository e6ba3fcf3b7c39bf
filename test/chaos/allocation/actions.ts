import { overlayAgents, agentAllocations } from '../../../src/kube/resources.ts';
import type { AgentAllocation } from '../../../src/api/types.ts';
import type { Cluster } from './cluster.ts';
import type { Dice } from './dice.ts';
import { deletePage, deleteSpaces, forgetBlock } from './hands.ts';
import { changeNetwork, networkPool, roles } from './networks.ts';

/** An event in a cluster, caused by people, machines or clouds. */
export interface Action {
  what: string;
  weight: number;
  run: (cluster: Cluster, dice: Dice) => Promise<void>;
}

/** Approximate number of nodes during a run. */
export interface Size {
  least: number;
  most: number;
}

const labels = (dice: Dice): Record<string, string> => ({
  role: dice.pick(roles) ?? '',
  ...(dice.chance(0.1) ? { 'overlaynet.dev/bridges': 'false' } : {}),
});

const names = ({ machines }: Cluster) => [...machines.keys()];

const oneOf = async (
  cluster: Cluster,
  dice: Dice,
  act: (name: string) => Promise<unknown>,
): Promise<void> => {
  const name = dice.pick(names(cluster));
  if (name !== undefined) await cluster.try(() => act(name));
};

/** A foreign finalizer: DELETE answers 200, but the object stays. */
const finalizer = 'ovt.example.com/held';

async function holdAndLeave(cluster: Cluster, dice: Dice): Promise<void> {
  const name = dice.pick(names(cluster));
  if (name === undefined) return;
  const patch = (finalizers: string[] | null) =>
    cluster.try(() =>
      cluster.client.patch<AgentAllocation>(
        agentAllocations,
        name,
        { metadata: { finalizers } },
        { type: 'merge' },
      ),
    );
  await patch([finalizer]);
  await cluster.leave(name);
  cluster.later(dice.whole(500, 4_000), () => patch(null));
}

/** Edits an AgentAllocation by hand. The edit removes something or is invalid; it never adds another node's block. */
async function editAllocation(cluster: Cluster, dice: Dice): Promise<void> {
  const edit = dice.pick<object>([
    { networks: null },
    { vtep: null },
    { nodeUID: 'by-hand' },
    { addresses: ['192.0.2.1'] },
  ]);
  await oneOf(cluster, dice, (name) =>
    cluster.client.patch<AgentAllocation>(agentAllocations, name, { spec: edit }, { type: 'merge' }),
  );
}

export const actions = ({ least, most }: Size): Action[] => [
  {
    what: 'nodes join',
    weight: 14,
    run: async (cluster, dice) => {
      const count = dice.chance(0.2) ? dice.whole(5, 25) : dice.whole(1, 3);
      await cluster.join(Math.min(count, most - cluster.machines.size), () => labels(dice));
    },
  },
  {
    what: 'nodes leave',
    weight: 14,
    run: async (cluster, dice) => {
      const count = dice.chance(0.2) ? dice.whole(5, 20) : dice.whole(1, 3);
      const leaving = dice.some(names(cluster), Math.min(count, cluster.machines.size - least));
      await Promise.all(leaving.map((name) => cluster.leave(name)));
    },
  },
  {
    what: 'nodes are made anew',
    weight: 5,
    run: async (cluster, dice) => {
      await Promise.all(dice.some(names(cluster), dice.whole(1, 3)).map((name) => cluster.remake(name)));
    },
  },
  {
    what: 'labels are edited',
    weight: 10,
    run: async (cluster, dice) => {
      const few = dice.some(names(cluster), dice.chance(0.3) ? dice.whole(10, 30) : dice.whole(1, 4));
      await Promise.all(few.map((name) => cluster.label(name, labels(dice))));
    },
  },
  {
    what: 'a network is added, edited, replaced or deleted',
    weight: 22,
    run: async (cluster, dice) => {
      const name = dice.pick(networkPool);
      if (name !== undefined) await changeNetwork(cluster, name, dice);
    },
  },
  {
    what: 'an AgentAllocation is deleted by hand',
    weight: 5,
    run: (cluster, dice) => oneOf(cluster, dice, (name) => cluster.client.delete(agentAllocations, name)),
  },
  { what: 'an AgentAllocation is edited by hand', weight: 4, run: editAllocation },
  { what: "a leaving node's AgentAllocation has a finalizer", weight: 3, run: holdAndLeave },
  {
    what: 'an OverlayAgent is deleted by hand',
    weight: 4,
    run: (cluster, dice) => oneOf(cluster, dice, (name) => cluster.client.delete(overlayAgents, name)),
  },
  { what: 'a ledger page is deleted by hand', weight: 2, run: deletePage },
  { what: 'a block is taken out of a ledger page by hand', weight: 2, run: forgetBlock },
  { what: 'spaces is deleted by hand', weight: 0.5, run: deleteSpaces },
];

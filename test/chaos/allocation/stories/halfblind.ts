import { aWhile, leaderOf, longLease, rollOut, settle, twoLeaders, type Story } from '../scene.ts';

/**
 * A new node gets blocks of a new network from another leader. The first leader sees the blocks, but neither the Node
 * nor the network, because its watches of these hang.
 */
export const halfBlind: Story = {
  name: 'a leader does not see new Nodes and networks',
  catches: [
    'a Node that the cache does not have is believed to be gone',
    'a network that the cache does not have is believed to be gone',
  ],
  lease: longLease,
  async tell(arena) {
    const { cluster, judge } = arena;
    await settle(arena, 5);
    const { proxy } = leaderOf(arena);
    const [hangs, waits] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    const hanging = ['nodes', 'overlaynetworks'];
    void proxy.halfOpen((one) => hanging.includes(one), hangs.promise, 'resume');
    void proxy.halfOpen((one) => !hanging.includes(one), waits.promise, 'resume');
    const stillLeads = await twoLeaders(arena);
    await cluster.join(1, () => ({ role: 'a' }));
    await rollOut(arena, 6);
    await aWhile(arena, 0);
    judge.keep(cluster.machines.keys());
    waits.resolve(undefined);
    await aWhile(arena, 4_000);
    stillLeads();
    hangs.resolve(undefined);
  },
};

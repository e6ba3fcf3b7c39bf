import { aWhile, leaderOf, longLease, rollOut, settle, twoLeaders, until, type Story } from '../scene.ts';
import { handOver } from './handover.ts';

/**
 * A leader wrote a page and then gets no more events of the ledger and of Nodes. Another leader gives the block to a
 * node, takes it back and gives it to a new node. The first one sees the AgentAllocations, but its copy of the page
 * still has the block's old owner.
 */
export const oldLedger: Story = {
  name: 'a leader follows AgentAllocations and not the ledger',
  catches: ['blocks are shown by a ledger that is older than the object'],
  lease: longLease,
  async tell(arena) {
    const { cluster } = arena;
    await settle(arena, 1, 'b');
    await settle(arena, 4);
    await rollOut(arena, 4);
    const { proxy } = leaderOf(arena);
    const answer = proxy.hold('answer', (method, path) => method === 'PUT' && path.includes('/net-red-'));
    await cluster.label('ovt-0', { role: 'a' });
    await until(arena, 'the page is written', () => answer.count > 0);
    const hangs = Promise.withResolvers<undefined>();
    void proxy.halfOpen((one) => ['nodes', 'allocationledgers'].includes(one), hangs.promise, 'resume');
    const stillLeads = await twoLeaders(arena);
    await handOver(arena, 'ovt-0');
    answer.release();
    await aWhile(arena, 2_000);
    stillLeads();
    hangs.resolve(undefined);
  },
};

import { allocationLedgers } from '../../../../src/kube/resources.ts';
import { deleteByHand } from '../hands.ts';
import {
  allocationOf,
  aWhile,
  getsBlock,
  leaderOf,
  longLease,
  red,
  settle,
  shown,
  twoLeaders,
  until,
} from '../scene.ts';
import type { Story } from '../scene.ts';

/**
 * A ledger page is deleted by hand while a write that adds one of its blocks to an AgentAllocation is in progress. A
 * new node gets a block of the replacement page.
 */
export const lostPage: Story = {
  name: 'a page is deleted by hand while a write of a former leader is on its way',
  lease: longLease,
  catches: ['a page in place of a lost one gives out blocks at once'],
  async tell(arena) {
    const { cluster } = arena;
    await settle(arena, 5);
    const late = leaderOf(arena).proxy.hold('request', allocationOf('ovt-0'));
    await cluster.apply('red', red);
    await until(arena, 'the others have their blocks', async () => (await shown(arena, 'red')).size === 4);
    await until(arena, 'a write is on its way', () => late.count > 0);
    await cluster.label('ovt-0', { role: 'b' });
    const { items } = await cluster.client.list(allocationLedgers);
    await deleteByHand(
      cluster,
      items.find(({ metadata }) => metadata.name.startsWith('net-red-')),
    );
    const stillLeads = await twoLeaders(arena);
    await cluster.join(1, () => ({ role: 'a' }));
    await getsBlock(arena, 'ovt-5');
    late.release();
    await aWhile(arena, 1_500);
    stillLeads();
  },
};

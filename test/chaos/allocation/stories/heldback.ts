import { agentAllocations } from '../../../../src/kube/resources.ts';
import { aWhile, getsBlock, longLease, rollOut, settle, type Story } from '../scene.ts';

/** A node leaves, and a foreign finalizer keeps its AgentAllocation: DELETE answers 200, but the object stays. */
export const heldBack: Story = {
  name: 'a finalizer keeps the AgentAllocation of a node that left',
  lease: longLease,
  catches: ['an AgentAllocation is gone because DELETE said so'],
  async tell(arena) {
    const { cluster } = arena;
    await settle(arena, 4);
    await rollOut(arena, 4);
    const metadata = { finalizers: ['ovt.example.com/held'] };
    await cluster.client.patch(agentAllocations, 'ovt-0', { metadata }, { type: 'merge' });
    await cluster.leave('ovt-0');
    await cluster.join(1, () => ({ role: 'a' }));
    await getsBlock(arena, 'ovt-4');
    await aWhile(arena, 2_500);
  },
};

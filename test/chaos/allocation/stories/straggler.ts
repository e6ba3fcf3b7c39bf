import {
  allocationOf,
  aWhile,
  leaderOf,
  longLease,
  red,
  settle,
  twoLeaders,
  until,
  type Story,
} from '../scene.ts';
import { handOver } from './handover.ts';

/**
 * One write of a leader is delayed. Meanwhile another leader takes the block back and gives it to a new node. Then the
 * write arrives, or the question that the first leader asks before it writes.
 */
const straggler = (
  story: Pick<Story, 'name' | 'catches'>,
  matches: (method: string, path: string) => boolean,
): Story => ({
  ...story,
  lease: longLease,
  async tell(arena) {
    await settle(arena, 5);
    const late = leaderOf(arena).proxy.hold('request', matches);
    await arena.cluster.apply('red', red);
    await until(arena, 'a write is on its way', () => late.count > 0);
    const stillLeads = await twoLeaders(arena);
    await handOver(arena, 'ovt-0');
    late.release();
    await aWhile(arena, 1_500);
    stillLeads();
  },
});

export const lateAllocation = straggler(
  {
    name: 'an AgentAllocation of a former leader arrives after the block has gone to another node',
    catches: ["a block cools without its AgentAllocation's write"],
  },
  allocationOf('ovt-0'),
);

export const latePage = straggler(
  {
    name: 'a ledger page of a former leader arrives after the block has gone to another node',
    catches: ['the Lease is trusted: whatever is there is overwritten'],
  },
  (_method, path) => path.includes('/net-red-'),
);

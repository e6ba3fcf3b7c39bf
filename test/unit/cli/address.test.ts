import { ownerOf, type Known } from '../../../src/cli/address.ts';
import { parseAddress } from '../../../src/net/address.ts';
import { pageOf } from '../../../src/rows/answer.ts';
import { parseQuery } from '../../../src/rows/query.ts';
import type { AgentRow, BlockRow, SpaceRow } from '../../../src/rows/row.ts';
import { container, world } from '../rows/world.ts';

const all = <T>(kind: 'agents' | 'blocks' | 'spaces') =>
  pageOf(kind, world(), parseQuery(kind, '')).items as T[];
const known = (more: Partial<Known> = {}): Known => ({
  agents: all<AgentRow>('agents'),
  blocks: all<BlockRow>('blocks'),
  spaces: all<SpaceRow>('spaces'),
  containers: [container()],
  unanswered: [],
  ...more,
});

test.each([
  ['9.0.0.5', 'Container', 'pod shop/web-0 (CNI) on network dcos, node node1'],
  ['172.17.0.2', 'Node', 'node node1’s own address'],
  ['44.128.0.2', 'VTEP', 'the tunnel’s end (VTEP) of node node2'],
  ['fd01:a:0::2', 'VTEP', 'the tunnel’s end (VTEP) of node node2'],
  ['9.0.1.1', 'Gateway', 'the gateway: bridge m-dcos of node node2'],
  ['9.0.1.129', 'Gateway', 'the gateway: bridge d-dcos of node node2'],
  ['9.0.1.128', 'Free', 'never given out: the network address of 9.0.1.128/25'],
  ['9.0.1.127', 'Free', 'never given out: the broadcast address of 9.0.1.0/25'],
  ['9.0.1.9', 'Free', 'free: in block 9.0.1.0/24 of network dcos, which node node2 holds'],
  ['9.0.10.3', 'Cooling', 'is free at 2026-01-01T00:10:00.000Z at the earliest'],
  ['fd01:b::3:0:0:1', 'Releasing', 'is being taken back from node node2'],
  ['9.0.200.1', 'Unused', 'in network dcos (9.0.0.0/16), and in no node’s block'],
  ['1.1.1.1', 'Outside', 'outside: no network has it'],
])('%s is %s', (text, is, words) => {
  expect(ownerOf(parseAddress(text), known())).toMatchObject({ is, message: expect.stringContaining(words) });
});

test('without the containers, or the node’s answer, an address is not called free', () => {
  const silent = { unanswered: [{ node: 'node2', reason: 'late' }] };
  for (const more of [{ containers: undefined }, silent])
    expect(ownerOf(parseAddress('9.0.1.9'), known(more))).toMatchObject({ is: 'Unknown', node: 'node2' });
  expect(ownerOf(parseAddress('9.0.0.9'), known(silent)).is).toBe('Free');
});

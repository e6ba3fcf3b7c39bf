import type { Arena } from '../arena.ts';
import { entries, getsBlock, until } from '../scene.ts';

/**
 * The node gets a block of `red` and loses it, and a new node gets it: the lowest free block is given first.
 * @throws Error if the new node got another block
 */
export async function handOver(arena: Arena, node: string): Promise<void> {
  const { cluster } = arena;
  await getsBlock(arena, node);
  const [index = -1] = [...(await entries(arena))].find(([, owner]) => owner === node) ?? [];
  await cluster.label(node, { role: 'b' });
  await until(arena, 'the block is free', async () => !(await entries(arena)).has(index));
  const known = new Set(cluster.machines.keys());
  await cluster.join(1, () => ({ role: 'a' }));
  const [heir = ''] = [...cluster.machines.keys()].filter((name) => !known.has(name));
  await getsBlock(arena, heir);
  if ((await entries(arena)).get(index) !== heir) throw new Error(`${heir} did not get the block of ${node}`);
}

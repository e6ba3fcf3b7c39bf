import type { AllocationLedger } from '../../../src/api/types.ts';
import { spacesName } from '../../../src/allocate/view.ts';
import { allocationLedgers } from '../../../src/kube/resources.ts';
import type { Cluster } from './cluster.ts';
import type { Dice } from './dice.ts';

/**
 * The judge must know which writes a person made. This annotation says it: a write that changes it was made by hand,
 * and so was a deletion right after such a write.
 */
export const handAnnotation = 'ovt.example.com/by-hand';

let edits = 0;

/** Writes the object under its resourceVersion, with a new mark. */
async function marked(cluster: Cluster, object: AllocationLedger): Promise<AllocationLedger> {
  const annotations = { ...object.metadata.annotations, [handAnnotation]: String(++edits) };
  return cluster.client.update(allocationLedgers, {
    ...object,
    metadata: { ...object.metadata, annotations },
  });
}

export async function deleteByHand(cluster: Cluster, object: AllocationLedger | undefined): Promise<void> {
  if (object === undefined) return;
  const { metadata } = await marked(cluster, object);
  const { uid = '', resourceVersion = '' } = metadata;
  await cluster.client.delete(allocationLedgers, metadata.name, { uid, resourceVersion });
}

async function somePage(cluster: Cluster, dice: Dice): Promise<AllocationLedger | undefined> {
  const throwOf = dice.real();
  const { items } = await cluster.client.list(allocationLedgers);
  const pages = items.filter(({ metadata }) => metadata.name !== spacesName);
  return pages[Math.floor(throwOf * pages.length)];
}

export async function deletePage(cluster: Cluster, dice: Dice): Promise<void> {
  await cluster.try(async () => deleteByHand(cluster, await somePage(cluster, dice)), 3);
}

export async function deleteSpaces(cluster: Cluster): Promise<void> {
  await cluster.try(
    async () => deleteByHand(cluster, await cluster.client.get(allocationLedgers, spacesName)),
    3,
  );
}

/** Removes the entry of a node's block from the ledger. */
export async function forgetBlock(cluster: Cluster, dice: Dice): Promise<void> {
  const which = dice.real();
  await cluster.try(async () => {
    const object = await somePage(cluster, dice);
    const page = object?.spec.page;
    if (object === undefined || page === undefined) return;
    const removed = Math.floor(which * page.blocks.length);
    const blocks = page.blocks.filter((_, at) => at !== removed);
    await marked(cluster, { ...object, spec: { page: { ...page, blocks } } });
  });
}

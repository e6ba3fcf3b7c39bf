import type { Edit } from './patching.ts';

/** An operator that is broken on purpose: what it has lost, and where. */
export interface Mutation {
  name: string;
  edits: Edit[];
  /** What must be about for it to show: foreign finalizers, hands. Absent: operators that sleep and take turns are enough. */
  needs?: 'finalizers' | 'hands';
  /** Where a search that has little time begins. */
  seed?: number;
}

const writer = 'src/operator/writer.ts';
const precondition = 'metadata: over?.metadata ?? next.metadata';

/**
 * Each has to be caught. The simulation's test does that; `npm run chaos -- allocation --mutations` tries it with real
 * processes. A text that the source no longer has is an error.
 */
export const mutations: readonly Mutation[] = [
  {
    name: 'a write is guarded by what the cache shows when it is sent',
    seed: 46,
    edits: [
      {
        file: writer,
        find: precondition,
        replace: 'metadata: (over && informer.get(next.metadata.name)?.metadata) ?? next.metadata',
      },
      // with this it is the operator as it once was
      {
        file: 'src/operator/allocator.ts',
        find: 'if (signal.aborted || fatal !== undefined || run.restores !== this.#restores) return;',
        replace: 'if (fatal !== undefined) return;',
      },
    ],
  },
  {
    name: 'the Lease is trusted: whatever is there is overwritten',
    edits: [
      {
        file: writer,
        find: precondition,
        replace:
          'metadata: (over && (await this.#client.get(resource, next.metadata.name))?.metadata) ?? next.metadata',
      },
    ],
  },
  {
    name: "a block cools without its AgentAllocation's write",
    edits: [
      {
        file: 'src/allocate/page.ts',
        find: 'if (demand.withdrawn.has(mark)) {',
        replace: "if (mark !== '') {",
      },
    ],
  },
  {
    name: 'evidence of a withdrawal outlives the mark that it is of',
    seed: 103,
    edits: [
      { file: 'src/allocate/space.ts', find: '${page}/${index}@${since}', replace: '${page}/${index}' },
    ],
  },
  {
    name: 'blocks are shown by a ledger that is older than the object',
    edits: [
      {
        file: 'src/allocate/allocations.ts',
        find: 'asOf(view.ledger, name) < needed);',
        replace: 'asOf(view.ledger, name) < 0);',
      },
    ],
  },
  {
    name: 'a Node that the cache does not have is believed to be gone',
    edits: [
      {
        file: 'src/allocate/certainty.ts',
        find: "return this.#wasAsked('nodes', name);",
        replace: 'return true;',
      },
    ],
  },
  {
    name: 'a network that the cache does not have is believed to be gone',
    seed: 18,
    edits: [
      {
        file: 'src/allocate/certainty.ts',
        find: "if (!this.#wasAsked('networks', name)) return false;",
        replace: "if (name !== '') return true;",
      },
    ],
  },
  {
    name: 'an AgentAllocation is gone because DELETE said so',
    needs: 'finalizers',
    seed: 13,
    edits: [
      {
        file: writer,
        find: 'return (await informer.refresh(name))?.metadata.uid !== uid;',
        replace: 'return true;',
      },
      {
        file: 'src/allocate/allocations.ts',
        find: 'if (!empty || withdraws.length > 0)',
        replace: 'if (spec.revision < 0)',
      },
    ],
  },
  {
    name: 'a page in place of a lost one gives out blocks at once',
    needs: 'hands',
    seed: 79,
    edits: [
      {
        file: 'src/allocate/blocks.ts',
        find: '...(recovering.includes(listed.number)',
        replace: '...(recovering.includes(-1)',
      },
      // what AgentAllocations show is not free either
      {
        file: 'src/allocate/blocks.ts',
        find: '(demand.shownTo(index) ?? node) === node',
        replace: "node !== ''",
      },
    ],
  },
];

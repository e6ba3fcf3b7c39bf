import type { Edit } from './patching.ts';

/** An operator that is broken on purpose: the edits that break it. */
export interface Mutation {
  name: string;
  edits: Edit[];
  /**
   * Trouble that is needed to reveal it: foreign finalizers or manual changes. Absent: operators that sleep and take
   * turns are enough.
   */
  needs?: 'finalizers' | 'hands' | 'reservations';
  /** First seed of a quick search. */
  seed?: number;
}

const writer = 'src/operator/writer.ts';
const precondition = 'metadata: over?.metadata ?? next.metadata';

/**
 * Each must be caught. The simulation's test checks that; `npm run chaos -- allocation --mutations` does so with real
 * processes. A `find` text that is not in the source is an error.
 */
export const mutations: readonly Mutation[] = [
  {
    name: 'a write is guarded by what the cache shows when it is sent',
    seed: 120,
    edits: [
      {
        file: writer,
        find: precondition,
        replace: 'metadata: (over && informer.get(next.metadata.name)?.metadata) ?? next.metadata',
      },
      // with this edit, the operator is as it once was
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
      // blocks in AgentAllocations are not free either
      {
        file: 'src/allocate/blocks.ts',
        find: '(demand.shownTo(index) ?? node) === node',
        replace: "node !== ''",
      },
    ],
  },
  {
    name: 'a reservation that the cache does not have is believed to be gone',
    needs: 'reservations',
    edits: [
      {
        file: 'src/allocate/spaces.ts',
        find: 'if (view.reservationsAt >= needed) return true;',
        replace: 'if (needed >= 0) return true;',
      },
    ],
  },
  {
    name: 'a node gets the lowest free block although one is reserved for it',
    needs: 'reservations',
    edits: [
      {
        file: 'src/allocate/blocks.ts',
        find: 'if (!demand.reserved.byNode.has(claimant.node) && !isDoubted(claimant.node)) waiting.push(claimant);',
        replace: 'waiting.push(claimant);',
      },
    ],
  },
  {
    name: 'what is reserved goes to the first node that comes',
    needs: 'reservations',
    edits: [
      {
        file: 'src/allocate/page.ts',
        find: 'const claimant = demand.claimant(node);\n    if (claimant?.standing',
        replace: 'const claimant = demand.claimant(node) ?? demand.claimants[0];\n    if (claimant?.standing',
      },
    ],
  },
  {
    name: 'the MAC of a VTEP follows from its index, whatever was reserved',
    needs: 'reservations',
    edits: [
      {
        file: 'src/allocate/page.ts',
        find: 'return mac === undefined ? held : { ...held, mac };',
        replace: 'return held;',
      },
    ],
  },
  {
    name: 'a page that is written drops the MAC of its own',
    needs: 'reservations',
    edits: [
      {
        file: 'src/allocate/page.ts',
        find: 'return block.uid === claimant.uid ? block : { ...block, uid: claimant.uid };',
        replace:
          "return block.uid === claimant.uid ? block : { index: block.index, node: block.node, state: 'Held', since: block.since, uid: claimant.uid };",
      },
    ],
  },
];

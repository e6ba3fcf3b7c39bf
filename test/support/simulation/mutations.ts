import type { Edit } from './patching.ts';

/** An operator that is broken on purpose: what it has lost, and where. */
export interface Mutation {
  name: string;
  edits: Edit[];
}

const writer = 'src/operator/writer.ts';

/** Each has to be caught: by the simulation, and by real processes. A text that the source no longer has is an error. */
export const mutations: readonly Mutation[] = [
  {
    name: 'the Lease is trusted: whatever is there is overwritten',
    edits: [
      {
        file: writer,
        find: 'const { metadata } = this.allocation(write.node);',
        replace:
          'const { metadata } = (await client.get(agentAllocations, write.node)) ?? this.allocation(write.node);',
      },
    ],
  },
  {
    name: "a block cools without its AgentAllocation's write",
    edits: [
      {
        file: 'src/allocate/blocks.ts',
        find: 'if (demand.withdrawn.has(key)) {',
        replace: 'if (key !== undefined) {',
      },
    ],
  },
  {
    name: 'evidence of a withdrawal outlives the mark that it is of',
    edits: [
      { file: writer, find: 'this.withdrawn.clear();', replace: '' },
      { file: writer, find: '&& !keys.has(key)) this.withdrawn.delete(key);', replace: '&& !keys.has(key)) continue;' },
    ],
  },
  {
    name: 'blocks are shown by a ledger that is older than the object',
    edits: [
      { file: 'src/allocate/plan.ts', find: 'if (asOf < version(object)) {', replace: 'if (asOf < 0) {' },
    ],
  },
];

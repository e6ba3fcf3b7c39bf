/** A text of a source file, there exactly once, and what takes its place. */
interface Edit {
  file: string;
  find: string;
  replace: string;
}

/** An operator that is broken on purpose. */
export interface Mutation {
  name: string;
  edits: Edit[];
}

const writer = 'src/operator/writer.ts';

/** Each takes away one thing that the protocol rests on. */
export const mutations: readonly Mutation[] = [
  {
    name: 'the Lease is trusted',
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
    name: 'a block cools without the write that withdraws it',
    edits: [
      {
        file: 'src/allocate/blocks.ts',
        find: 'if (demand.withdrawn.has(key)) {',
        replace: "if (key !== '') {",
      },
    ],
  },
  {
    name: 'evidence is kept too long',
    edits: [
      { file: writer, find: 'this.withdrawn.clear();', replace: '' },
      {
        file: writer,
        find: '&& !keys.has(key)) this.withdrawn.delete(key);',
        replace: '&& !keys.has(key)) continue;',
      },
    ],
  },
  {
    name: 'the ledger may be older than the object',
    edits: [
      { file: 'src/allocate/plan.ts', find: 'if (asOf < version(object)) {', replace: 'if (asOf < 0) {' },
    ],
  },
  {
    name: 'what is in use is freed',
    edits: [
      {
        file: 'src/allocate/blocks.ts',
        find: 'if (demand.inUse(block.node, block.index)) return block;',
        replace: '',
      },
    ],
  },
];

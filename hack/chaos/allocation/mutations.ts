/** One change to a source file that breaks the operator: the text must be there exactly once. */
export interface Mutation {
  name: string;
  file: string;
  find: string;
  replace: string;
}

/** Operators broken on purpose, each in one place that the protocol rests on. */
export const mutations: Mutation[] = [
  {
    name: 'guard-from-the-cache',
    file: 'src/operator/writer.ts',
    find: 'const { metadata } = this.allocation(write.node);',
    replace: 'const { metadata } = this.allocation(write.node); /* as it is by now */',
  },
];

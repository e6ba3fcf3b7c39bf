import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import type { ApiError } from '../../../src/kube/client.ts';
import type { KeyedQueue } from '../../../src/kube/queue.ts';
import type { Allocator } from '../../../src/operator/allocator.ts';
import type { Caches } from '../../../src/operator/caches.ts';
import { patching, type Edit } from './patching.ts';

/** The exports of one instance of the operator's code. */
export interface Program {
  Allocator: typeof Allocator;
  Caches: typeof Caches;
  KeyedQueue: typeof KeyedQueue;
  ApiError: typeof ApiError;
}

/** Time and chance, which the code would otherwise take from Node. */
export interface Surroundings {
  Date: DateConstructor;
  Math: Math;
  performance: { now: () => number };
  setTimeout: (task: () => void, ms?: number) => unknown;
  clearTimeout: (handle: unknown) => void;
  randomUUID: () => string;
}

const root = join(import.meta.dirname, '..', '..', '..');

/** Blocks a page in simulations: small, so that a small cluster needs several pages. */
export const smallPage = 4;
/** Edits that lower the code's limits, so that small clusters reach them. */
const scaledDown: Edit[] = [
  {
    file: 'src/allocate/space.ts',
    find: 'export const pageSize = 256;',
    replace: `export const pageSize = ${smallPage};`,
  },
  // further writes wait, as they do beyond twenty in a large cluster
  { file: 'src/operator/parallel.ts', find: 'const concurrency = 20;', replace: 'const concurrency = 2;' },
];

const entry = `
  export { Allocator } from './src/operator/allocator.ts';
  export { Caches } from './src/operator/caches.ts';
  export { KeyedQueue } from './src/kube/queue.ts';
  export { ApiError } from './src/kube/error.ts';
`;

/** Leaves out the transport to a real API server, which simulations do not use and which takes long to load. */
const withoutTransport: Plugin = {
  name: 'without-transport',
  setup(context) {
    const filter = /^(@kubernetes\/client-node|js-yaml|prom-client)$/;
    context.onResolve({ filter }, ({ path }) => ({ path, namespace: 'absent' }));
    context.onLoad({ filter: /.*/, namespace: 'absent' }, () => ({ contents: 'module.exports = {};' }));
  },
};

const names = ['Date', 'Math', 'performance', 'setTimeout', 'clearTimeout'] as const;

/**
 * Bundles the operator's source once. Each call of the result creates an instance of its own in the given surroundings.
 */
export async function loadProgram(edits: readonly Edit[] = []): Promise<(around: Surroundings) => Program> {
  const { outputFiles } = await build({
    stdin: { contents: entry, resolveDir: root, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    target: 'node22',
    logLevel: 'silent',
    plugins: [withoutTransport, patching([...scaledDown, ...edits])],
  });
  const code = outputFiles[0]?.text ?? '';
  // the names are parameters, so that the code uses these values instead of Node's
  // eslint-disable-next-line @typescript-eslint/no-implied-eval
  const evaluate = new Function('module', 'require', ...names, code) as (...given: unknown[]) => void;
  const real = createRequire(import.meta.url);
  return (around) => {
    const module = { exports: {} };
    const required = (name: string): unknown =>
      name === 'node:crypto' ? { ...(real(name) as object), randomUUID: around.randomUUID } : real(name);
    evaluate(module, required, ...names.map((name) => around[name]));
    return module.exports as Program;
  };
}

import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { chmod, copyFile, mkdir, rename } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import type { Plugin } from 'esbuild';
import { buildPage } from './page/build.ts';
import { go } from './parts/part.ts';
import { buildPlugin, chained } from './parts/plugins.ts';
import { say, since } from './parts/progress.ts';
import { findPlugins } from './parts.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
/** Folders of src that hold a program, and its file in dist/. */
const bundles = { operator: 'operator.js', agent: 'agent.js', cli: 'kubectl-overlay' };
/** The agent image's CNI plugins besides our own, and the standard plugin that each one is a copy of. */
const standard = {
  ...chained,
  loopback: 'loopback',
  'host-local': 'host-local',
  bridge: 'bridge',
};
export const plugins = ['overlaynet', ...Object.keys(standard)];

type Program = 'operator' | 'agent';

/** The words after a keyword in one line of a program's Dockerfile. */
const wordsAfter = (program: Program, words: RegExp): string[] => {
  const dockerfile = readFileSync(join(root, 'deploy', `${program}.Dockerfile`), 'utf8');
  return words.exec(dockerfile)?.[1]?.split(' ') ?? [];
};

/** The environment variables that a program's Dockerfile sets; labs set the same. */
export const environmentOf = (program: Program): Record<string, string> =>
  Object.fromEntries(
    wordsAfter(program, /^ENV (.*)$/m).map((pair) => [pair.replace(/=.*/, ''), pair.replace(/^[^=]*=/, '')]),
  );
/**
 * Debian packages of the agent's image, without their pinned versions: a lab uses the versions of this machine's
 * release.
 */
export const agentPackages = wordsAfter('agent', /--no-install-recommends (.*) \\$/m).map((pinned) =>
  pinned.replace(/=.*/, ''),
);

/** Some bundled libraries are CommonJS and call require. */
const banner = `import { createRequire as overlaynetRequire } from 'node:module';
const require = overlaynetRequire(import.meta.url);`;

const library = '@kubernetes/client-node';
/** The modules that replace parts of libraries, in tests too: see jest.config.js. */
const standIn = (name: string): string => join(import.meta.dirname, 'standins', name);
/** Modules that libraries import for features that this project does not use. */
const unused = [
  // its own HTTP calls, and proxies
  ...['undici', 'socks-proxy-agent', 'socks', 'hpagent'].map((name) => ({ by: library, name })),
  // exemplars
  { by: 'prom-client', name: '@opentelemetry/api' },
];

/**
 * Halves the start time of a program. Only the configuration part of client-node is used: it needs two generated
 * modules and none of the 600 models. An ESM import of node:http makes Node load its own copy of undici for exports
 * that nothing uses; require does not.
 */
const lean: Plugin = {
  name: 'lean',
  setup(build) {
    // esbuild resolves links in file names, and node_modules may be a link
    const dir = realpathSync(join(root, 'node_modules', library, 'dist'));
    build.onResolve({ filter: new RegExp(`^${library}$`) }, () => ({
      path: join(dir, 'config.js'),
      sideEffects: false,
    }));
    build.onResolve({ filter: /^\.\/gen\/index\.js$/ }, ({ importer }) =>
      importer === join(dir, 'config.js') ? { path: standIn('generated.js') } : undefined,
    );
    for (const { by, name } of unused)
      build.onResolve({ filter: new RegExp(`^${name}$`) }, ({ importer }) =>
        importer.includes(join('node_modules', by, '')) ? { path: standIn('unused.cjs') } : undefined,
      );
    build.onResolve({ filter: /^(node:)?http$/ }, ({ path, namespace }) =>
      namespace === 'required' ? { path, external: true } : { path, namespace: 'required' },
    );
    build.onLoad({ filter: /.*/, namespace: 'required' }, ({ path }) => ({
      contents: `module.exports = require('${path}');`,
    }));
  },
};

/**
 * Requires Node's own modules where they are first used. Imports would load all of them before a program's first line,
 * and `--help` needs none.
 */
const lazy: Plugin = {
  name: 'lazy',
  setup(build) {
    build.onResolve({ filter: /^[a-z]/ }, ({ path, namespace }) => {
      if (!isBuiltin(path)) return undefined;
      return namespace === 'required' ? { path, external: true } : { path, namespace: 'required' };
    });
  },
};

/** Returns when a file was last written, in ms; 0 if it does not exist. */
const written = (file: string) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Returns whether all bundles are newer than their sources. */
function fresh(): boolean {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
  const files = [
    ...sources.filter((file) => !file.startsWith('cni/')).map((file) => join('src', file)),
    'package-lock.json',
    'hack/build.ts',
    'hack/page/build.ts',
  ];
  const newest = Math.max(...files.map((file) => written(join(root, file))));
  const made = [...Object.values(bundles), 'ui/index.html'];
  return made.every((file) => written(join(dist, file)) > newest);
}

/**
 * Bundles each program into one file (dist/operator.js, dist/agent.js, dist/kubectl-overlay) and the operator's page
 * into dist/ui, unless they are up to date.
 */
export async function buildBundles(): Promise<void> {
  if (fresh()) return;
  await Promise.all([
    ...Object.entries(bundles).map(([name, file]) => bundle(name, join(dist, file))),
    buildPage(join(dist, 'ui')),
  ]);
}

/** Returns the file in dist/ of a program, which is bundled unless it is up to date. */
export async function bundled(name: keyof typeof bundles): Promise<string> {
  await buildBundles();
  return join(dist, bundles[name]);
}

/** Bundles one program into `file`. Plugins may change its sources. */
export async function bundle(name: string, file: string, plugins: Plugin[] = []): Promise<void> {
  const { build } = await import('esbuild');
  await mkdir(dirname(file), { recursive: true });
  const unfinished = `${file}.${process.pid}`;
  await build({
    entryPoints: [join(root, 'src', name, 'main.ts')],
    outfile: unfinished,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    banner: { js: banner },
    legalComments: 'none',
    minifySyntax: true,
    minifyWhitespace: true,
    // the command spends most of its start time parsing its own text
    minifyIdentifiers: name === 'cli',
    plugins: [...plugins, ...(name === 'cli' ? [lazy] : []), lean],
    logLevel: 'error',
  });
  // independent of the umask: the image runs the file as another user, and a command needs the execute bit
  await chmod(unfinished, name === 'cli' ? 0o755 : 0o644);
  // atomically: another lab may be starting the program
  await rename(unfinished, file);
}

/**
 * Fills dist/ with the files that deploy/*.Dockerfile copy: the bundles, and in dist/plugins the CNI plugins that the
 * agent installs on its node, ours and the standard ones.
 */
export async function buildContext(): Promise<void> {
  const [overlaynet, cni] = await Promise.all([buildPlugin(go), findPlugins(), buildBundles()]);
  const dir = join(dist, 'plugins');
  await mkdir(dir, { recursive: true });
  const files = Object.entries(standard).map(([name, source]) => [name, join(cni, source)] as const);
  for (const [name, file] of [['overlaynet', overlaynet] as const, ...files]) {
    const unfinished = join(dir, `.${name}.${process.pid}`);
    await copyFile(file, unfinished);
    await chmod(unfinished, 0o755); // independent of the umask
    await rename(unfinished, join(dir, name));
  }
}

if (process.argv[1] === import.meta.filename) {
  const start = performance.now();
  await buildContext();
  say(
    `dist/operator.js, dist/agent.js, dist/kubectl-overlay, dist/ui and dist/plugins built in ${since(start)}`,
  );
}

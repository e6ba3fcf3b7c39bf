import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { chmod, copyFile, mkdir, rename } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import type { Plugin } from 'esbuild';
import { buildPage } from './page/build.ts';
import { go } from './parts/part.ts';
import { buildPlugin, chained } from './parts/plugins.ts';
import { say, since } from './parts/progress.ts';
import { findParts } from './parts.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
/** Folders of src with a program, and what each becomes in dist/. */
const bundles = { operator: 'operator.js', agent: 'agent.js', cli: 'kubectl-overlay' };
/** CNI plugins of the agent's image beside ours, and which of the standard ones each is. */
const standard = {
  ...chained,
  loopback: 'loopback',
  'host-local': 'host-local',
  bridge: 'bridge',
};
export const plugins = ['overlaynet', ...Object.keys(standard)];

type Program = 'operator' | 'agent';

/** Words behind those that a program's Dockerfile has in one line. */
const wordsAfter = (program: Program, words: RegExp): string[] => {
  const dockerfile = readFileSync(join(root, 'deploy', `${program}.Dockerfile`), 'utf8');
  return words.exec(dockerfile)?.[1]?.split(' ') ?? [];
};

/** A program's environment, wherever it runs. */
export const environmentOf = (program: Program): Record<string, string> =>
  Object.fromEntries(
    wordsAfter(program, /^ENV (.*)$/m).map((pair) => [pair.replace(/=.*/, ''), pair.replace(/^[^=]*=/, '')]),
  );
/** Debian packages of the agent's image, without the versions that it has: a lab takes those of this machine's release. */
export const agentPackages = wordsAfter('agent', /--no-install-recommends (.*) \\$/m).map((pinned) =>
  pinned.replace(/=.*/, ''),
);

/** Some of the libraries are CommonJS and call require. */
const banner = `import { createRequire as overlaynetRequire } from 'node:module';
const require = overlaynetRequire(import.meta.url);`;

const library = '@kubernetes/client-node';
/** What libraries import for what they are never asked here, and the names that they import of it. */
const unused = [
  // calls of its own, and proxies
  { by: library, name: 'undici', exports: ['Agent', 'ProxyAgent', 'fetch'] },
  { by: library, name: 'socks-proxy-agent', exports: ['SocksProxyAgent'] },
  { by: library, name: 'socks', exports: ['SocksClient'] },
  { by: library, name: 'hpagent', exports: ['HttpProxyAgent', 'HttpsProxyAgent'] },
  // exemplars
  { by: 'prom-client', name: '@opentelemetry/api', exports: ['context', 'trace'] },
];

/**
 * What halves the time that a program needs to start. Of client-node the configuration alone is used, which needs two
 * modules of its generated part and none of the 600 models. And an ESM import of node:http makes Node load its own copy
 * of undici, for exports that nothing uses; require does not.
 */
const lean: Plugin = {
  name: 'lean',
  setup(build) {
    // as esbuild names its files, also where node_modules is a link
    const dir = realpathSync(join(root, 'node_modules', library, 'dist'));
    build.onResolve({ filter: new RegExp(`^${library}$`) }, () => ({
      path: join(dir, 'config.js'),
      sideEffects: false,
    }));
    build.onResolve({ filter: /^\.\/gen\/index\.js$/ }, ({ importer, resolveDir }) =>
      importer === join(dir, 'config.js') ? { path: resolveDir, namespace: 'generated' } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: 'generated' }, ({ path }) => ({
      contents: `export { createConfiguration } from './gen/configuration.js';
        export { ServerConfiguration } from './gen/servers.js';`,
      resolveDir: path,
    }));
    for (const { by, name, exports } of unused) {
      const filter = new RegExp(`^${name}$`);
      build.onResolve({ filter }, ({ importer }) =>
        importer.includes(join('node_modules', by, '')) ? { path: name, namespace: 'unused' } : undefined,
      );
      build.onLoad({ filter, namespace: 'unused' }, () => ({
        contents: exports.map((one) => `export const ${one} = undefined;`).join('\n'),
      }));
    }
    build.onResolve({ filter: /^(node:)?http$/ }, ({ path, namespace }) =>
      namespace === 'required' ? { path, external: true } : { path, namespace: 'required' },
    );
    build.onLoad({ filter: /.*/, namespace: 'required' }, ({ path }) => ({
      contents: `module.exports = require('${path}');`,
    }));
  },
};

/**
 * Node's own modules by require, where they are first used: imports would load all of them before the first line of a
 * program, and a command whose help somebody asks for needs none.
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

/** When a file was last written, in ms; 0 where there is none. */
const written = (file: string) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Whether all bundles are newer than everything that they are made of. */
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

/** Bundles each program into one file: dist/operator.js, dist/agent.js and dist/kubectl-overlay, and the operator's page into dist/ui; unless they are up to date. */
export async function buildBundles(): Promise<void> {
  if (fresh()) return;
  await Promise.all([
    ...Object.entries(bundles).map(([name, file]) => bundle(name, join(dist, file))),
    buildPage(join(dist, 'ui')),
  ]);
}

/** Bundles one of them into `file`, with its sources as the plugins change them. */
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
    // of the time that the command needs to start, most is the reading of its own text
    minifyIdentifiers: name === 'cli',
    plugins: [...plugins, ...(name === 'cli' ? [lazy] : []), lean],
    logLevel: 'error',
  });
  // whatever the umask: the image's user is not who builds it, and a command is run by its name
  await chmod(unfinished, name === 'cli' ? 0o755 : 0o644);
  // at once: another lab may be starting it
  await rename(unfinished, file);
}

/**
 * Makes dist/ what deploy/*.Dockerfile copy from: the bundles, and in dist/plugins the CNI plugins that the agent installs
 * on its node: ours and the standard ones.
 */
export async function buildContext(): Promise<void> {
  const [overlaynet, { cni }] = await Promise.all([buildPlugin(go), findParts(), buildBundles()]);
  const dir = join(dist, 'plugins');
  await mkdir(dir, { recursive: true });
  const files = Object.entries(standard).map(([name, source]) => [name, join(cni, source)] as const);
  for (const [name, file] of [['overlaynet', overlaynet] as const, ...files]) {
    const unfinished = join(dir, `.${name}.${process.pid}`);
    await copyFile(file, unfinished);
    await chmod(unfinished, 0o755); // whatever the umask
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

import { readdirSync, statSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { say, since } from './parts/progress.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const names = ['operator', 'agent'];

/** Some of the libraries are CommonJS and call require. */
const banner = `import { createRequire as overlaynetRequire } from 'node:module';
const require = overlaynetRequire(import.meta.url);`;

/** When a file was last written, in ms; 0 where there is none. */
const written = (file: string) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Whether both bundles are newer than everything that they are made of. */
function fresh(): boolean {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
  const files = [...sources.map((file) => join('src', file)), 'package-lock.json', 'hack/build.ts'];
  const newest = Math.max(...files.map((file) => written(join(root, file))));
  return names.every((name) => written(join(dist, `${name}.js`)) > newest);
}

/** Bundles operator and agent into one file each, dist/operator.js and dist/agent.js, unless they are up to date. */
export async function buildBundles(): Promise<void> {
  if (fresh()) return;
  const { build } = await import('esbuild');
  await mkdir(dist, { recursive: true });
  await Promise.all(
    names.map(async (name) => {
      const unfinished = join(dist, `${name}.${process.pid}.js`);
      await build({
        entryPoints: [join(root, 'src', name, 'main.ts')],
        outfile: unfinished,
        bundle: true,
        platform: 'node',
        target: 'node22',
        format: 'esm',
        banner: { js: banner },
        legalComments: 'none',
        logLevel: 'error',
      });
      // at once: another lab may be starting it
      await rename(unfinished, join(dist, `${name}.js`));
    }),
  );
}

if (process.argv[1] === import.meta.filename) {
  const start = performance.now();
  await buildBundles();
  say(`dist/operator.js and dist/agent.js built in ${since(start)}`);
}

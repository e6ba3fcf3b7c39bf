import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { say, since } from './parts/progress.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

/** Some of the libraries are CommonJS and call require. */
const banner = `import { createRequire as overlaynetRequire } from 'node:module';
const require = overlaynetRequire(import.meta.url);`;

/** Bundles operator and agent into one file each, dist/operator.js and dist/agent.js; takes less than a second. */
export async function buildBundles(): Promise<void> {
  await mkdir(dist, { recursive: true });
  await Promise.all(
    ['operator', 'agent'].map(async (name) => {
      const fresh = join(dist, `${name}.${process.pid}.js`);
      await build({
        entryPoints: [join(root, 'src', name, 'main.ts')],
        outfile: fresh,
        bundle: true,
        platform: 'node',
        target: 'node22',
        format: 'esm',
        banner: { js: banner },
        legalComments: 'none',
        logLevel: 'error',
      });
      // at once: another lab may be starting it
      await rename(fresh, join(dist, `${name}.js`));
    }),
  );
}

if (process.argv[1] === import.meta.filename) {
  const start = performance.now();
  await buildBundles();
  say(`dist/operator.js and dist/agent.js built in ${since(start)}`);
}

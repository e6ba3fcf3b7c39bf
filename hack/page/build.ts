import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pkg from '../../package.json' with { type: 'json' };

const source = join(import.meta.dirname, '..', '..', 'src', 'page');

/**
 * Bundles the page that operators serve under /ui/: index.html and its files, whose names contain a hash of their
 * content. Replaces an existing directory as a whole.
 */
export async function buildPage(directory: string): Promise<void> {
  const { build } = await import('esbuild');
  const unfinished = `${directory}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  try {
    const { metafile } = await build({
      entryPoints: ['main.tsx', 'style.css', 'icon.svg'].map((file) => join(source, file)),
      outdir: unfinished,
      entryNames: '[name]-[hash]',
      metafile: true,
      bundle: true,
      platform: 'browser',
      format: 'esm',
      target: ['es2023', 'chrome123', 'firefox121', 'safari17.5'],
      jsx: 'automatic',
      jsxImportSource: 'preact',
      loader: { '.svg': 'copy' },
      define: { 'process.env.NODE_ENV': '"production"', OVERLAYNET_VERSION: JSON.stringify(pkg.version) },
      minify: true,
      legalComments: 'none',
      logLevel: 'error',
    });
    const made = Object.keys(metafile.outputs).map((file) => file.replace(/.*\//, ''));
    const named = (name: string) => {
      const [stem, end] = name.split('.');
      return made.find((file) => file.startsWith(`${stem ?? ''}-`) && file.endsWith(`.${end ?? ''}`)) ?? '';
    };
    const html = await readFile(join(source, 'index.html'), 'utf8');
    const linked = html.replace(/main\.js|style\.css|icon\.svg/g, named);
    await writeFile(join(unfinished, 'index.html'), linked, { mode: 0o644 });
    await rm(directory, { recursive: true, force: true });
    await rename(unfinished, directory);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

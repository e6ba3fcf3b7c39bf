import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from '../testbed/lab.ts';
import { cacheFile, tool, type Running } from './tool.ts';

/** Folders that eslint.config.js leaves out, or that hold no source. */
const skippedFolders = new Set(['node_modules', 'dist', '.lab', 'coverage', '.git']);
/** What every result depends on: rules, compiler options, libraries, and types that no import names. */
const common = /^(eslint\.config\.js|package-lock\.json|.*tsconfig.*\.json|.*\.d\.ts)$/;

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    if (skippedFolders.has(entry.name)) return [];
    const path = join(dir, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

/** The files that a source imports by a relative path, also for their types alone. */
function importsOf(file: string, text: string): string[] {
  const paths = text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g);
  return [...paths].map(([, path = '']) => join(dirname(file), path)).filter((path) => existsSync(path));
}

/**
 * Returns each source of a directory with a hash of all that the linter's result for it depends on: its text and those
 * of the files that it imports, over any number of steps, since typed rules look at them; rules and libraries.
 */
export function keysOf(dir: string): Map<string, string> {
  const all = filesBelow(dir).sort();
  const texts = new Map<string, string>();
  const textOf = (file: string): string => {
    const known = texts.get(file) ?? readFileSync(file, 'utf8');
    texts.set(file, known);
    return known;
  };
  const shared = createHash('sha256').update(process.version);
  for (const file of all.filter((one) => common.test(relative(dir, one))))
    shared.update(`\n${relative(dir, file)}\n`).update(textOf(file));
  const sharedKey = shared.digest('hex');
  const imports = new Map<string, string[]>();
  const keyOf = (file: string): string => {
    const reached = new Set([file]);
    // a Set's loop also visits what is added meanwhile
    for (const one of reached) {
      const next = imports.get(one) ?? importsOf(one, textOf(one));
      imports.set(one, next);
      for (const path of next) reached.add(path);
    }
    const hash = createHash('sha256').update(sharedKey);
    for (const one of [...reached].sort()) hash.update(`\n${relative(dir, one)}\n`).update(textOf(one));
    return hash.digest('hex');
  };
  const sources = all.filter((file) => /\.[cm]?[jt]sx?$/.test(file));
  return new Map(sources.map((file) => [relative(dir, file), keyOf(file)]));
}

/** Runs ESLint on the sources that have not passed as they are now. Returns whether all pass. */
export async function lint(running: Running): Promise<boolean> {
  const cache = cacheFile('lint.json');
  const passed = new Set(existsSync(cache) ? (JSON.parse(readFileSync(cache, 'utf8')) as string[]) : []);
  const keys = keysOf(root);
  const changed = [...keys].filter(([, key]) => !passed.has(key)).map(([file]) => file);
  if (changed.length > 0 && !(await tool('eslint', ['--max-warnings', '0', ...changed], running)))
    return false;
  mkdirSync(dirname(cache), { recursive: true });
  writeFileSync(`${cache}.${process.pid}`, JSON.stringify([...keys.values()]));
  renameSync(`${cache}.${process.pid}`, cache);
  return true;
}

import {
  mkdirSync,
  readdirSync,
  realpathSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { command } from './command.ts';

const root = join(import.meta.dirname, '..', '..');
const sources = join(root, 'src', 'cni');
const dir = join(root, 'dist', 'cni');
const plugin = join(dir, 'overlaynet');

/** The standard plugins that follow ours in a chain, by the names that our conflists give them. */
export const chained = { 'overlaynet-portmap': 'portmap', 'overlaynet-bandwidth': 'bandwidth' };

/** Environment for building and testing our Go programs: only modules that go.sum names, and no C library. */
export const goEnvironment = () => ({
  ...process.env,
  CGO_ENABLED: '0',
  GOFLAGS: '-mod=readonly',
  GOWORK: 'off',
});

/** Returns when a file was last written, in ms; 0 if it does not exist. */
const written = (file: string) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Builds `program` of the Go module in `sources`, unless it is newer than they are. Returns its path. */
export async function buildProgram(
  sources: string,
  program: string,
  go: () => Promise<string>,
): Promise<string> {
  const files = readdirSync(sources).filter((file) => !file.endsWith('_test.go'));
  const newest = Math.max(...files.map((file) => written(join(sources, file))));
  if (written(program) > newest) return program;
  mkdirSync(dirname(program), { recursive: true });
  const unfinished = join(dirname(program), `.${basename(program)}.${process.pid}`);
  const args = ['build', '-trimpath', '-buildvcs=false', '-ldflags', '-s -w', '-o', unfinished, '.'];
  await command(await go(), args, { cwd: sources, env: goEnvironment() });
  // atomically: another process may be starting the program
  await rename(unfinished, program);
  return program;
}

/** Builds dist/cni/overlaynet, our CNI plugin, unless it is up to date. Returns its path. */
export const buildPlugin = (go: () => Promise<string>): Promise<string> => buildProgram(sources, plugin, go);

/**
 * Makes one directory with all plugins and cnitool for CNI_PATH: our plugin, and links to the standard ones.
 * @param standard directory of the standard ones; may be the same directory
 */
export async function pluginDirectory(standard: string, go: () => Promise<string>): Promise<string> {
  await buildPlugin(go);
  const names = readdirSync(standard).filter((name) => !/^(\.|overlaynet)/.test(name));
  const links = [...names.map((name) => [name, name] as const), ...Object.entries(chained)];
  for (const [name, source] of links) {
    const target = realpathSync(join(standard, source));
    const link = join(dir, name);
    if (linkedTo(link) === target) continue;
    symlinkSync(target, `${link}.${process.pid}`);
    renameSync(`${link}.${process.pid}`, link);
  }
  return dir;
}

function linkedTo(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

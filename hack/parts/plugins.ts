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

/** The standard plugins that ours is chained with, by the names that our conflists have for them. */
export const chained = { 'overlaynet-portmap': 'portmap', 'overlaynet-bandwidth': 'bandwidth' };

/** What building our Go programs, and their tests, need in the environment: nothing but what go.sum names, and no C library. */
export const goEnvironment = () => ({
  ...process.env,
  CGO_ENABLED: '0',
  GOFLAGS: '-mod=readonly',
  GOWORK: 'off',
});

/** When a file was last written, in ms; 0 where there is none. */
const written = (file: string) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Builds `program` of the Go module in `sources`, unless it is newer than those. Returns its path. */
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
  // at once: someone may be starting it
  await rename(unfinished, program);
  return program;
}

/** Builds dist/cni/overlaynet, our CNI plugin, where it has to be. Returns its path. */
export const buildPlugin = (go: () => Promise<string>): Promise<string> => buildProgram(sources, plugin, go);

/**
 * One directory with all plugins and cnitool, for a CNI_PATH that people can read: ours, and links to the standard ones.
 * @param standard where those are; may be that directory itself
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

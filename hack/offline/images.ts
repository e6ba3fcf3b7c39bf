import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { environmentOf, agentPackages, plugins } from '../build.ts';
import { command } from '../parts/command.ts';
import { arch, cachedDirectory, cacheDirectory } from '../parts/part.ts';
import { timed } from '../parts/progress.ts';
import { root } from '../testbed/lab.ts';
import { writeLayer, type Image } from './archive.ts';
import { cachedFile, rootfs } from './rootfs.ts';

/** The image names in deploy/. */
export const tags = { operator: 'overlaynet-operator:0.1.0', agent: 'overlaynet-agent:0.1.0' };

/** Libraries that npm's Node needs but does not include. */
const libraries = ['libstdc++6'];

const debianWith = (name: string, packages: string[]) => rootfs(name, 'minbase', [...packages, ...libraries]);

/** A Debian with network programs, as the base of the agent's image and of kube-proxy's. */
export const networkRootfs = () => debianWith('network', agentPackages);

/**
 * Installs Node 24 from npm in the cache, where hack/run keeps it too. It needs only the C libraries; a distribution's
 * Node needs more.
 */
async function node(): Promise<string> {
  const name = `node-linux-${arch === 'amd64' ? 'x64' : arch}`;
  const dir = join(cacheDirectory(), 'node-24');
  const file = join(dir, 'node_modules', name, 'bin', 'node');
  await cachedDirectory(
    dir,
    () => existsSync(file),
    async (fresh) => {
      await timed(`${name}@24: from npm`, () =>
        command('npm', ['install', '--silent', '--no-save', '--prefix', fresh, `${name}@24`]),
      );
    },
  );
  return file;
}

/** A layer that has Node at the path where the official image has it. */
async function nodeLayer(): Promise<string> {
  const file = await node();
  const version = (await command(file, ['--version'])).trim();
  return cachedFile('nodejs.tar', version, (to) => writeLayer(to, { '/usr/local/bin/node': file }));
}

type Program = keyof typeof tags;

/** An image's contents besides Node, as its Dockerfile says; `grants.test.ts` compares the two. */
interface Contents {
  /** Debian packages. */
  packages: string[];
  /** Files and directories: absolute path in the image, and path in dist/. */
  files: Record<string, string>;
  config: Image['config'];
}

const variables = (program: Program): string[] =>
  Object.entries(environmentOf(program)).map(([name, value]) => `${name}=${value}`);

export const contents: Record<Program, Contents> = {
  operator: {
    packages: [],
    files: { '/app/operator.mjs': 'operator.js', '/app/ui': 'ui' },
    config: { Entrypoint: ['node', '/app/operator.mjs'], User: '65532:65532', Env: variables('operator') },
  },
  agent: {
    packages: agentPackages,
    files: {
      '/app/agent.mjs': 'agent.js',
      ...Object.fromEntries(plugins.map((name) => [`/opt/cni/bin/${name}`, `plugins/${name}`])),
    },
    config: { Entrypoint: ['node', '/app/agent.mjs'], Env: variables('agent') },
  },
};

/** Pairs a file, or each file of a directory, with its destination. */
const filesOf = (from: string, to: string): [string, string][] =>
  statSync(from).isDirectory()
    ? readdirSync(from).flatMap((name) => filesOf(join(from, name), `${to}/${name}`))
    : [[to, from]];

/** Assembles the images of operator and agent, equal to their Dockerfiles', from Debian packages and npm's Node. */
export async function assemble(work: string): Promise<Image[]> {
  const nodejs = await nodeLayer();
  const image = async (program: Program): Promise<Image> => {
    const { packages, files, config } = contents[program];
    const layer = join(work, `${program}.layer`);
    const entries = Object.entries(files).flatMap(([to, file]) => filesOf(join(root, 'dist', file), to));
    await writeLayer(layer, Object.fromEntries(entries));
    const below =
      packages.length === 0 ? rootfs('libraries', 'extract', libraries) : debianWith('network', packages);
    return { tag: tags[program], layers: [await below, nodejs, layer], config };
  };
  return [await image('operator'), await image('agent')];
}

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { environmentOf, agentPackages, plugins } from '../build.ts';
import { command } from '../parts/command.ts';
import { arch, cachedDirectory, cacheDirectory } from '../parts/part.ts';
import { timed } from '../parts/progress.ts';
import { root } from '../testbed/lab.ts';
import { writeLayer, type Image } from './archive.ts';
import { cachedFile, rootfs } from './rootfs.ts';

/** As deploy/ names them. */
export const tags = { operator: 'overlaynet-operator:0.1.0', agent: 'overlaynet-agent:0.1.0' };

/** What npm's Node is linked with and does not bring. */
const libraries = ['libstdc++6'];

const debianWith = (name: string, packages: string[]) => rootfs(name, 'minbase', [...packages, ...libraries]);

/** A Debian with the programs for packets: below the agent, and below kube-proxy, which needs the same. */
export const networkRootfs = () => debianWith('network', agentPackages);

/** Node 24 from npm, linked with the C libraries alone: a distribution's own needs more. hack/run keeps it in the same place. */
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

/** A layer with Node where the official image has it. */
async function nodeLayer(): Promise<string> {
  const file = await node();
  const version = (await command(file, ['--version'])).trim();
  return cachedFile('nodejs.tar', version, (to) => writeLayer(to, { '/usr/local/bin/node': file }));
}

type Program = keyof typeof tags;

/** What an image has beside Node, as its Dockerfile says; `grants.test.ts` compares the two. */
interface Contents {
  /** Debian packages. */
  packages: string[];
  /** Files and directories by their absolute paths in the image: what each is in dist/. */
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

/** A file, or the files of a directory: where each goes. */
const filesOf = (from: string, to: string): [string, string][] =>
  statSync(from).isDirectory()
    ? readdirSync(from).flatMap((name) => filesOf(join(from, name), `${to}/${name}`))
    : [[to, from]];

/** The images of operator and agent as their Dockerfiles make them, of Debian packages and npm's Node. */
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

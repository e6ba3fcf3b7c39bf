import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { environmentOf, agentPackages, buildContext, plugins } from '../build.ts';
import { findTool } from '../parts/cluster.ts';
import { command } from '../parts/command.ts';
import { downloadsAllowed } from '../parts/download.ts';
import { arch, cachedDirectory, cacheDirectory } from '../parts/part.ts';
import { say, timed } from '../parts/progress.ts';
import { pageFiles } from '../page/build.ts';
import { root, type Lab } from '../testbed/lab.ts';
import { writeArchive, writeLayer, type Image } from './archive.ts';
import { docker, type Engine } from './engine.ts';
import { cachedFile, rootfs } from './rootfs.ts';

/** As deploy/ names them. */
const tags = { operator: 'overlaynet-operator:0.1.0', agent: 'overlaynet-agent:0.1.0' };
/** What runs in the tests' pods. */
export const toolImage = 'overlaynet-e2e/tool:1';

/** What npm's Node is linked with and does not bring. */
const libraries = ['libstdc++6'];

/** A Debian with the programs for packets: below the agent, and below kube-proxy, which needs the same. */
export const networkRootfs = () => rootfs('network', 'minbase', [...agentPackages, ...libraries]);

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

const dist = join(root, 'dist');

/** By the Dockerfiles in deploy/, with the registry that the engine reaches. */
async function build(engine: Engine): Promise<void> {
  for (const name of ['operator', 'agent'] as const) {
    const args = ['build', '-f', join(root, 'deploy', `${name}.Dockerfile`), '-t', tags[name], dist];
    await command('timeout', ['300', 'docker', '-H', engine.host, ...args]);
  }
}

/** The same images, of Debian packages and npm's Node. */
async function assemble(work: string): Promise<Image[]> {
  const nodejs = await nodeLayer();
  const operator = join(work, 'operator.layer');
  const agent = join(work, 'agent.layer');
  const page = Object.entries(await pageFiles(join(dist, 'ui')));
  await writeLayer(operator, {
    '/app/operator.mjs': join(dist, 'operator.js'),
    ...Object.fromEntries(page.map(([name, file]) => [`/app/ui/${name}`, file])),
  });
  const files: Record<string, string> = { '/app/agent.mjs': join(dist, 'agent.js') };
  for (const name of plugins) files[`/opt/cni/bin/${name}`] = join(dist, 'plugins', name);
  await writeLayer(agent, files);
  return [
    {
      tag: tags.operator,
      layers: [await rootfs('libraries', 'extract', libraries), nodejs, operator],
      config: { Entrypoint: ['node', '/app/operator.mjs'], User: '65532:65532', Env: variables('operator') },
    },
    {
      tag: tags.agent,
      layers: [await networkRootfs(), nodejs, agent],
      config: {
        Entrypoint: ['node', '/app/agent.mjs'],
        Env: variables('agent'),
      },
    },
  ];
}

const variables = (program: 'operator' | 'agent'): string[] =>
  Object.entries(environmentOf(program)).map(([name, value]) => `${name}=${value}`);

/** References without a registry are Docker's, as containerd and kubelet write them out. */
const qualified = (tag: string) => (/^[^/]+$/.test(tag) ? `docker.io/library/${tag}` : `docker.io/${tag}`);

/**
 * Makes the images of operator, agent and the tests' pods and hands docker-archives of them to `load`. What it needs of the
 * disk meanwhile is in the lab's directory, which goes with the lab also when this process is killed.
 */
export async function provideImages(
  lab: Lab,
  engine: Engine,
  load: (archive: string) => Promise<void>,
): Promise<void> {
  await buildContext();
  const work = await mkdtemp(join(lab.dir, 'images-'));
  try {
    const images: Image[] = [];
    const archive = join(work, 'images.tar');
    let built = false;
    if (!engine.sealed && downloadsAllowed()) {
      try {
        await timed('docker build of operator and agent', () => build(engine));
        await docker(engine, ['save', '-o', archive, ...Object.values(tags)]);
        await load(archive);
        built = true;
      } catch (error) {
        say(`  ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    if (!built) images.push(...(await assemble(work)));
    const layer = join(work, 'tool.layer');
    await writeLayer(layer, { '/tool': await findTool(), '/tmp': { directory: 0o1777 } });
    images.push({ tag: toolImage, layers: [layer], config: { Entrypoint: ['/tool'] } });
    await writeArchive(
      archive,
      images.map((image) => ({ ...image, tag: qualified(image.tag) })),
    );
    await load(archive);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

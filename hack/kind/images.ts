import { messageOf } from '../../src/error.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { buildContext } from '../build.ts';
import { writeArchive, writeLayer, type Image } from '../offline/archive.ts';
import { assemble, tags } from '../offline/images.ts';
import { findTool } from '../parts/cluster.ts';
import { command } from '../parts/command.ts';
import { downloadsAllowed } from '../parts/download.ts';
import { say, timed } from '../parts/progress.ts';
import { docker, type Engine } from '../testbed/engine.ts';
import { root, type Lab } from '../testbed/lab.ts';

/** Image of the tests' pods. */
export const toolImage = 'overlaynet-e2e/tool:1';

const dist = join(root, 'dist');

/** Builds the Dockerfiles in deploy/ with the engine's registry. */
async function build(engine: Engine): Promise<void> {
  for (const name of ['operator', 'agent'] as const) {
    const args = ['build', '-f', join(root, 'deploy', `${name}.Dockerfile`), '-t', tags[name], dist];
    await command('timeout', ['300', 'docker', '-H', engine.host, ...args]);
  }
}

/** The full name of a reference without a registry: Docker Hub, as containerd and kubelet write it. */
const qualified = (tag: string) => (/^[^/]+$/.test(tag) ? `docker.io/library/${tag}` : `docker.io/${tag}`);

/**
 * Makes the images of operator, agent and the tests' pods, and passes docker-archives of them to `load`. Temporary
 * files are in the lab's directory, so that they are removed with the lab even if this process is killed.
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
        say(`  ${messageOf(error)}`);
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

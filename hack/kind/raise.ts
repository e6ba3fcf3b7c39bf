import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensurePackages } from '../parts/packages.ts';
import { labNamed, type Lab } from '../testbed/lab.ts';
import { clear } from '../testbed/owner.ts';
import { createCluster, deleteCluster, kind } from './cluster.ts';
import { startEngine, stopEngine } from '../offline/dockerd.ts';
import { runningEngine, type Engine } from '../testbed/engine.ts';
import { provideImages } from './images.ts';
import { addNetwork, removeNetwork } from './network.ts';
import { nodeImage } from './node.ts';

/** The kind cluster of this project. A machine runs one at a time. */
export const lab = labNamed('overlaynet-e2e');

/** File that describes the engine of a running cluster. */
const engineFile = (of: Lab) => join(of.dir, 'engine.json');

/** Returns the engine of the running cluster, or undefined. */
export function engineOf(of: Lab): Engine | undefined {
  try {
    return JSON.parse(readFileSync(engineFile(of), 'utf8')) as Engine;
  } catch {
    return undefined;
  }
}

/** Removes cluster, network and engine, if they exist. */
export async function remove(engine: Engine | undefined): Promise<void> {
  if (engine && !engine.sealed) {
    mkdirSync(lab.dir, { recursive: true });
    await deleteCluster(lab, engine);
    await removeNetwork(engine);
  }
  await stopEngine(lab);
  await clear(lab);
}

/** Starts the cluster and loads the images, but installs nothing. Calls `done` after each step. */
export async function raise(keep: boolean, done: (what: string) => void): Promise<Engine> {
  const running = await runningEngine();
  if (!running) await ensurePackages({ dockerd: 'docker.io' });
  const engine = running ?? (await startEngine(lab, keep));
  writeFileSync(engineFile(lab), JSON.stringify(engine));
  done(
    running ? `Docker engine at ${engine.host}` : 'Docker engine of our own, in a namespace without uplink',
  );
  const image = await nodeImage(lab, engine);
  done(`node image ${image}`);
  if (running) await deleteCluster(lab, engine);
  await addNetwork(engine);
  await createCluster(lab, engine, image);
  done('kind cluster: a control plane, two workers, no CNI');
  await provideImages(lab, engine, (archive) =>
    kind(lab, ['load', 'image-archive', archive]).then(() => undefined),
  );
  done('images of operator, agent and tests loaded');
  return engine;
}

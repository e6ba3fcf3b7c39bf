import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findKind, findTool } from '../parts/cluster.ts';
import { command } from '../parts/command.ts';
import { findParts } from '../parts.ts';
import { root, type Lab } from '../testbed/lab.ts';
import type { Engine } from '../testbed/engine.ts';
import { networkName } from './network.ts';

export const clusterName = 'overlaynet-e2e';

/** Directory of kubectl, kubectl-overlay, docker and kind, as wrappers that reach the cluster. */
export const binDirectory = (lab: Lab) => join(lab.dir, 'bin');

const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

/** Writes wrapper commands that run in the engine's network namespace, with its socket and kubeconfig. */
export async function writeCommands(lab: Lab, engine: Engine): Promise<void> {
  const { kubectl } = await findParts();
  mkdirSync(binDirectory(lab), { recursive: true });
  const environment = [
    `DOCKER_HOST=${engine.host}`,
    `KUBECONFIG=${join(lab.dir, 'kubeconfig')}`,
    `KIND_EXPERIMENTAL_DOCKER_NETWORK=${networkName}`,
  ];
  const programs = {
    kubectl: [kubectl],
    'kubectl-overlay': [process.execPath, join(root, 'dist', 'kubectl-overlay')],
    docker: ['docker'],
    kind: [await findKind()],
    tool: [await findTool()],
    inside: [],
  };
  for (const [name, program] of Object.entries(programs)) {
    const words = [...engine.inside, 'env', ...environment, ...program].map(quoted);
    const path = process.env.PATH ?? ''; // without this directory: the docker wrapper must not find itself
    writeFileSync(
      join(binDirectory(lab), name),
      `#!/bin/sh\nPATH=${quoted(path)} exec ${words.join(' ')} "$@"\n`,
    );
    chmodSync(join(binDirectory(lab), name), 0o755);
  }
}

export const kind = (lab: Lab, args: string[]): Promise<string> =>
  command(join(binDirectory(lab), 'kind'), [...args, '--name', clusterName]);

export const kubectl = (lab: Lab, args: string[], input?: string): Promise<string> =>
  command(join(binDirectory(lab), 'kubectl'), args, input === undefined ? {} : { input });

/** Makes the cluster. Its nodes stay NotReady, because it has no CNI yet. */
export async function createCluster(lab: Lab, engine: Engine, image: string): Promise<void> {
  await writeCommands(lab, engine);
  const file = join(root, 'deploy', 'samples', 'kind.yaml');
  await kind(lab, ['create', 'cluster', '--config', file, '--image', image, '--retain', '--quiet']);
  // RHEL's default, strict reverse path filtering: the kernel drops a packet that arrives by another link than the
  // route back to its source
  const strict = ['net.ipv4.conf.all.rp_filter=1', 'net.ipv4.conf.default.rp_filter=1'];
  for (const node of (await kind(lab, ['get', 'nodes'])).split(/\s+/).filter((name) => name !== ''))
    await command(join(binDirectory(lab), 'docker'), ['exec', node, 'sysctl', '-qw', ...strict]);
  // internet names do not resolve in here; CoreDNS stops forwarding them before the first pod can start
  const config = ['-n', 'kube-system', 'get', 'configmap', 'coredns', '-o', 'json'];
  const map = JSON.parse(await kubectl(lab, config)) as { data: { Corefile: string } };
  map.data.Corefile = map.data.Corefile.replace(/\n\s*forward [^{}]*\{[^}]*\}/, '');
  await kubectl(lab, ['replace', '-f', '-'], JSON.stringify(map));
}

export async function deleteCluster(lab: Lab, engine: Engine): Promise<void> {
  await writeCommands(lab, engine);
  await kind(lab, ['delete', 'cluster', '--quiet']);
}

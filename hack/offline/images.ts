import { existsSync } from 'node:fs';
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

/** The images of operator and agent as their Dockerfiles make them, of Debian packages and npm's Node. */
export async function assemble(work: string): Promise<Image[]> {
  const nodejs = await nodeLayer();
  const operator = join(work, 'operator.layer');
  const agent = join(work, 'agent.layer');
  await writeLayer(operator, { '/app/operator.mjs': join(dist, 'operator.js') });
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

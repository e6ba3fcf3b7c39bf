import { objectNamePattern } from '../net/name.ts';
import { namespaceMetadata, overlayConfigs, overlayNetworks, pods } from '../kube/resources.ts';
import type { ContainerRow, Kind, Page, Rows } from '../rows/row.ts';
import type { Access } from './access.ts';
import { exitOf, printChains, read, type Chain, type Kernels, type Read } from './chain.ts';
import { CommandFailure } from './failure.ts';
import { fewAtOnce } from './few.ts';
import { skew } from './list.ts';
import type { Output } from './output.ts';
import { podChains, type PodFacts } from './whypod.ts';
import { networkChain, nodeChain, type ClusterFacts } from './whynode.ts';

/**
 * `why pod NS/NAME`, `why node N`, `why network X`.
 * @returns 0 if all is right, 1 if something is wrong, 2 if that is unknown
 */
export async function why(
  access: Access,
  [kind = '', name = '']: string[],
  options: { output?: 'json' },
  out: Output,
): Promise<number> {
  const chains = await chainsOf(access, kind, name, out);
  printChains(chains, options.output, out);
  skew(access, out);
  return exitOf(chains);
}

async function chainsOf(access: Access, kind: string, name: string, out: Output): Promise<Chain[]> {
  if (kind === 'pod') {
    const [namespace = '', pod = '', ...more] = name.split('/');
    if (![namespace, pod].every((one) => objectNamePattern.test(one)) || more.length > 0)
      throw new CommandFailure(`"${name}" is not a pod’s NAMESPACE/NAME`, 'give one such as shop/web-0');
    return podChains(await podFacts(access, namespace, pod, out));
  }
  if (!objectNamePattern.test(name))
    throw new CommandFailure(
      `"${name}" is not the name of a ${kind}`,
      `kubectl overlay ${kind === 'node' ? 'agents' : 'networks'} lists them`,
    );
  const facts = await clusterFacts(access, out);
  return [kind === 'node' ? nodeChain(name, facts) : networkChain(name, facts)];
}

const items = async <K extends Kind>(access: Access, kind: K, query = {}): Promise<Rows[K][]> =>
  (await access.all(kind, query)).items;

const rowsIn = <T>({ items: rows, unanswered = [] }: Page<T>) => ({ rows, unanswered });

/** How many nodes are asked individually at the same time. */
const atOnce = 8;

/**
 * The differences of nodes' kernels; unknown to a user without that right. Reading a kernel takes long, and an operator
 * waits five seconds for all of them. Nodes that did not answer in that time are asked again individually.
 */
export const kernelsOf = (access: Access, out: Output): Promise<Read<Kernels>> =>
  read(async () => {
    const all = rowsIn(await access.all('kernel'));
    const late = all.unanswered.map(({ node }) => node);
    if (late.length > atOnce) out.note(`asking ${late.length} nodes for their kernels, each by itself`);
    const rows = [...all.rows];
    const unanswered: Kernels['unanswered'][number][] = [];
    await fewAtOnce(late, atOnce, async (node) => {
      const one = rowsIn(await access.all('kernel', { node }));
      const known = new Set(rows.map((row) => JSON.stringify(row)));
      rows.push(...one.rows.filter((row) => !known.has(JSON.stringify(row))));
      unanswered.push(...one.unanswered);
    });
    return { rows, unanswered };
  });

export const containersOf = (
  access: Access,
  query: Record<string, string> = {},
): Promise<Read<{ rows: ContainerRow[]; unanswered: Kernels['unanswered'] }>> =>
  read(async () => rowsIn(await access.all('containers', query)));

export async function clusterFacts(access: Access, out: Output): Promise<ClusterFacts> {
  return {
    networks: await items(access, 'networks'),
    agents: await items(access, 'agents'),
    blocks: await items(access, 'blocks'),
    spaces: await items(access, 'spaces'),
    kernels: await kernelsOf(access, out),
  };
}

async function podFacts(access: Access, namespace: string, name: string, out: Output): Promise<PodFacts> {
  const [pod, namespaceObject, config, networks] = await Promise.all([
    read(() => access.api((client) => client.get(pods(namespace), name))),
    read(() => access.api((client) => client.get(namespaceMetadata, namespace))),
    read(() => access.api((client) => client.get(overlayConfigs, 'default'))),
    read(() => access.api((client) => client.list(overlayNetworks))),
  ]);
  return {
    ...(await clusterFacts(access, out)),
    namespace,
    name,
    pod,
    namespaceObject,
    containers: await containersOf(access, { namespace }),
    defaultNetwork:
      'why' in config
        ? config
        : {
            value: config.value?.status?.effective?.defaultNetwork ?? config.value?.spec.defaultNetwork ?? '',
          },
    specs:
      'why' in networks
        ? networks
        : { value: new Map(networks.value.items.map((one) => [one.metadata.name, one])) },
  };
}

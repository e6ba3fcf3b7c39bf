import { isDeepStrictEqual } from 'node:util';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { defaultDirectories, socketIn } from '../host/directories.ts';
import { namesHere } from './choose.ts';

/** A CNI network configuration list as text, and its network. */
export interface Conflist {
  network: string;
  text: string;
}

/** Settings of the plugin that differ from its defaults. */
export interface PluginPaths {
  socket: string;
  stateDir: string;
  leaseDir: string;
}

export const pluginDefaults: PluginPaths = {
  socket: socketIn(defaultDirectories.runDir),
  stateDir: defaultDirectories.stateDir,
  leaseDir: defaultDirectories.leaseDir,
};

/**
 * The conflist of each network that has a CNI bridge on this node, by name. Programs that run CNI without Kubernetes
 * use it.
 */
export const renderConflists = (snapshot: Snapshot, paths: PluginPaths): Conflist[] =>
  namesHere(snapshot).map((network) => ({ network, text: render(network, network, paths) }));

/**
 * Name of the cluster's own conflist, with which the agent chooses a pod's networks. No OverlayNetwork can have this
 * name, so it differs from every per-network conflist; runtimes collect garbage by name.
 */
export const defaultConflist = (paths: PluginPaths): string => render('overlaynet.dev', undefined, paths);

/**
 * Combines our conflist with the plugins that other programs chained behind ours in the existing file (istio-cni and
 * linkerd-cni append themselves to the first file). If that file has the same content, its text is kept: such a
 * program writes in its own format, and would write again.
 * @returns the text, and the types of the other plugins
 */
export function withChained(ours: string, present: string | undefined): { text: string; chained: string[] } {
  const wanted = JSON.parse(ours) as List;
  const there = present === undefined ? undefined : parseList(present);
  const plugins = there?.plugins.filter(isPlugin) ?? [];
  // plugins in a file that is not ours are not chained behind ours, whatever its name
  if (there === undefined || there.name !== wanted.name || plugins[0]?.type !== ourPlugin) {
    return { text: ours, chained: [] };
  }
  const others = plugins.filter(({ type }) => !isOurs(type));
  if (others.length === 0)
    return { text: isDeepStrictEqual(there, wanted) ? (present ?? ours) : ours, chained: [] };
  const list = { ...wanted, plugins: [...wanted.plugins, ...others] };
  const text = isDeepStrictEqual(there, list) ? (present ?? ours) : serialise(list);
  return { text, chained: others.map(({ type }) => type) };
}

interface List {
  name?: unknown;
  plugins: unknown[];
}

function parseList(text: string): List | undefined {
  try {
    const list = JSON.parse(text) as Partial<List> | null;
    return Array.isArray(list?.plugins) ? { ...list, plugins: list.plugins } : undefined;
  } catch {
    return undefined;
  }
}

const isPlugin = (one: unknown): one is { type: string } =>
  typeof (one as { type?: unknown } | null)?.type === 'string';

const ourPlugin = 'overlaynet';

/** The capability by which the runtime passes the pod's annotations. */
const annotationsCapability = 'io.kubernetes.cri.pod-annotations';

const isOurs = (type: string): boolean => type === ourPlugin || type.startsWith(`${ourPlugin}-`);

const serialise = (list: object): string => `${JSON.stringify(list, undefined, 2)}\n`;

/** Whether a conflist is overlaynet's and for that network. */
export function isConflistOf(text: string, network: string): boolean {
  try {
    const list = JSON.parse(text) as {
      name?: unknown;
      plugins?: { type?: unknown; network?: unknown }[];
    } | null;
    const [first] = list?.plugins ?? [];
    return list?.name === network && first?.type === ourPlugin && first.network === network;
  } catch {
    return false;
  }
}

/**
 * Renders a conflist.
 * containerd before 2.0 reads only `cniVersion` and supports nothing after 1.0.0. Other runtimes take the highest of
 * `cniVersions` that they support; STATUS and GC came with 1.1.0. The chained plugins are the image's, under overlaynet's
 * own names: a host's plugin may be older than 1.1.0, and then no pod would start.
 */
function render(name: string, network: string | undefined, paths: PluginPaths): string {
  const keys = Object.keys(pluginDefaults) as (keyof PluginPaths)[];
  const other = keys.filter((key) => paths[key] !== pluginDefaults[key]).map((key) => [key, paths[key]]);
  const list = {
    cniVersion: '1.0.0',
    cniVersions: ['1.0.0', '1.1.0'],
    name,
    plugins: [
      {
        type: ourPlugin,
        capabilities: { [annotationsCapability]: true },
        ...(network === undefined ? {} : { network }),
        ...(Object.fromEntries(other) as Partial<PluginPaths>),
      },
      { type: 'overlaynet-portmap', capabilities: { portMappings: true }, snat: true },
      { type: 'overlaynet-bandwidth', capabilities: { bandwidth: true } },
    ],
  };
  return serialise(list);
}

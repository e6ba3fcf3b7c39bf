import type { Snapshot } from '../dataplane/snapshot.ts';
import { namesHere } from './choose.ts';

/** A CNI network configuration list, as text, and the network that it is for. */
export interface Conflist {
  network: string;
  text: string;
}

/** What the plugin has to know besides, where it is not what the plugin takes by itself. */
export interface PluginPaths {
  socket: string;
  stateDir: string;
  leaseDir: string;
}

export const pluginDefaults: PluginPaths = {
  socket: '/run/overlaynet/agent.sock',
  stateDir: '/var/lib/overlaynet',
  leaseDir: '/var/lib/cni/networks',
};

/** Of each network that has a CNI bridge on this node, by name: whoever runs CNI asks for it so, without Kubernetes. */
export const renderConflists = (snapshot: Snapshot, paths: PluginPaths): Conflist[] =>
  namesHere(snapshot).map((network) => ({ network, text: render(network, network, paths) }));

/**
 * The cluster's own: the agent tells the plugin which networks a pod belongs to. No OverlayNetwork can bear its name, so
 * that no per-network conflist does: a runtime collects the garbage of a name.
 */
export const defaultConflist = (paths: PluginPaths): string => render('overlaynet.dev', undefined, paths);

/** Whether a conflist is one of ours, of that network. */
export function isConflistOf(text: string, network: string): boolean {
  try {
    const list = JSON.parse(text) as {
      name?: unknown;
      plugins?: { type?: unknown; network?: unknown }[];
    } | null;
    const [first] = list?.plugins ?? [];
    return list?.name === network && first?.type === 'overlaynet' && first.network === network;
  } catch {
    return false;
  }
}

/**
 * containerd before 2.0 reads `cniVersion` alone and knows none after 1.0.0; the others take the highest of
 * `cniVersions` that they know, and STATUS and GC came with 1.1.0.
 * The chained plugins are the image's, by names of ours: a host's may be older than 1.1.0, and then no pod would start.
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
        type: 'overlaynet',
        capabilities: { 'io.kubernetes.cri.pod-annotations': true },
        ...(network === undefined ? {} : { network }),
        ...(Object.fromEntries(other) as Partial<PluginPaths>),
      },
      { type: 'overlaynet-portmap', capabilities: { portMappings: true }, snat: true },
      { type: 'overlaynet-bandwidth', capabilities: { bandwidth: true } },
    ],
  };
  return `${JSON.stringify(list, undefined, 2)}\n`;
}

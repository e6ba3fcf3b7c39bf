import { join } from 'node:path';

/** Directories of the node that the agent writes to. */
export interface Directories {
  stateDir: string;
  /** Directory of the conflists, one per network. */
  cniConfDir: string;
  /** Directory where container runtimes look for conflists. */
  cniNetDir: string;
  /** Directory of host-local's leases, with a directory per network. */
  leaseDir: string;
  /** Directory that does not outlive a boot: it holds the socket that the CNI plugin uses, and `complete`. */
  runDir: string;
}

/** Their default paths. The plugin has the same ones; tests of both compare them with `src/cni/testdata/contract.json`. */
export const defaultDirectories: Directories = {
  stateDir: '/var/lib/overlaynet',
  cniConfDir: '/etc/cni/overlaynet.d',
  cniNetDir: '/etc/cni/net.d',
  leaseDir: '/var/lib/cni/networks',
  runDir: '/run/overlaynet',
};

/** Where container runtimes look for plugins. */
export const defaultBinDir = '/opt/cni/bin';

/** Tells the CNI plugin where the agent is. */
export const socketIn = (runDir: string): string => join(runDir, 'agent.sock');

/** Where the plugin writes how commands ended that it could not tell at that socket. */
export const untoldBeside = (socket: string): string => `${socket}.untold`;

/** Where the agent moves that file before it reads it. */
export const takenFrom = (untold: string): string => `${untold}.taken`;

/** The plugin's STATUS fails until this file has the boot's own id in it. */
export const markIn = (runDir: string): string => join(runDir, 'complete');

/** Where the plugin writes down what it makes, a file for each attachment. */
export const attachmentsIn = (stateDir: string): string => join(stateDir, 'attachments');

/** Where `install` and `cleanup` find the host's own files. */
export interface HostFlags {
  /** The host's root directory, as this process sees it. */
  hostRoot: string;
  /** Below it: where container runtimes look for plugins. */
  cniBinDir: string;
}

import { join } from 'node:path';

/** Directories of the node that the agent writes to. */
export interface Directories {
  stateDir: string;
  /** One conflist per network. */
  cniConfDir: string;
  /** Where container runtimes look. */
  cniNetDir: string;
  /** host-local's leases, a directory per network. */
  leaseDir: string;
  /** What does not outlive a boot: the socket that the CNI plugin asks at, and `complete`. */
  runDir: string;
}

/** Where they are by default. The plugin has the same; `src/cni/testdata/contract.json` holds both to it. */
export const defaultDirectories: Directories = {
  stateDir: '/var/lib/overlaynet',
  cniConfDir: '/etc/cni/overlaynet.d',
  cniNetDir: '/etc/cni/net.d',
  leaseDir: '/var/lib/cni/networks',
  runDir: '/run/overlaynet',
};

/** Where container runtimes look for plugins. */
export const defaultBinDir = '/opt/cni/bin';

/** Where the CNI plugin finds the agent. */
export const socketIn = (runDir: string): string => join(runDir, 'agent.sock');

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

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

/** Where `install` and `cleanup` find the host's own files. */
export interface HostFlags {
  /** The host's root directory, as this process sees it. */
  hostRoot: string;
  /** Below it: where container runtimes look for plugins. */
  cniBinDir: string;
}

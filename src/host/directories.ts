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

/** Where `install` and `cleanup` find the host's own files. */
export interface HostFlags {
  /** The host's root directory, as this process sees it. */
  hostRoot: string;
  /** Below it: where container runtimes look for plugins. */
  cniBinDir: string;
}

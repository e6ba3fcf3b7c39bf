import { rmSync, statSync, readFileSync, writeFileSync } from 'node:fs';

/** Debian's invoke-rc.d(8) runs this file before it starts the services of a package. */
const policy = '/usr/sbin/policy-rc.d';

const denial = `#!/bin/sh
# overlaynet's tests need the programs of Docker and Prometheus, and none that runs; this file goes when they are installed
case "$1" in docker*|containerd*|prometheus*) exit 101 ;; esac
exit 0
`;

/**
 * Prevents Docker and Prometheus from starting while their packages are being installed. Keeps a policy file that the
 * machine already has.
 */
export async function withoutServices<T>(install: () => Promise<T>): Promise<T> {
  const own = statSync(policy, { throwIfNoEntry: false }) === undefined;
  if (own) writeFileSync(policy, denial, { mode: 0o755 });
  try {
    return await install();
  } finally {
    // also removes the file that a killed earlier run left
    if (own || readFileSync(policy, 'utf8') === denial) rmSync(policy);
  }
}

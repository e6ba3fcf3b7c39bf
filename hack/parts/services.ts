import { rmSync, statSync, readFileSync, writeFileSync } from 'node:fs';

/** Debian asks it before it starts what a package brings (policy-rc.d of invoke-rc.d(8)). */
const policy = '/usr/sbin/policy-rc.d';

const denial = `#!/bin/sh
# overlaynet's tests need the programs of Docker and Prometheus, and none that runs; this file goes when they are installed
case "$1" in docker*|containerd*|prometheus*) exit 101 ;; esac
exit 0
`;

/** Lets nothing start Docker or Prometheus while their packages are being installed. A policy of the machine's own is left as it is. */
export async function withoutServices<T>(install: () => Promise<T>): Promise<T> {
  const own = statSync(policy, { throwIfNoEntry: false }) === undefined;
  if (own) writeFileSync(policy, denial, { mode: 0o755 });
  try {
    return await install();
  } finally {
    // also one that was left when an earlier run was killed
    if (own || readFileSync(policy, 'utf8') === denial) rmSync(policy);
  }
}

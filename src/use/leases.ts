import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { formatAddress, parseAddress, readable } from '../net/address.ts';
import { isErrno } from '../error.ts';

/**
 * The addresses of a network that containers of this node have leased: host-local keeps a file for each.
 * @throws Error of the file system, where there may be leases that cannot be listed
 */
export function leasedAddresses(leaseDir: string, network: string): string[] {
  try {
    return readdirSync(join(leaseDir, network)).flatMap(
      // the rest are the lock, and what was leased last
      (file) => readable(() => formatAddress(parseAddress(file))) ?? [],
    );
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

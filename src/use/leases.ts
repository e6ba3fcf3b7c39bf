import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { formatAddress, parseAddress, readable } from '../net/address.ts';
import { isErrno } from '../error.ts';

/**
 * The addresses of a network that this node's containers have leased. host-local keeps one file for each.
 * @throws Error of the file system if the directory exists but cannot be listed
 */
export function leasedAddresses(leaseDir: string, network: string): string[] {
  try {
    return readdirSync(join(leaseDir, network)).flatMap(
      // the other files are the lock and the last leased address
      (file) => readable(() => formatAddress(parseAddress(file))) ?? [],
    );
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

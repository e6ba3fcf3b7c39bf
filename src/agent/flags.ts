import { isIP } from 'node:net';
import { parseDuration } from '../api/duration.ts';
import { formatAddress, parseAddress } from '../net/address.ts';
import { parseListen } from '../http.ts';
import { levels, type Level } from '../log.ts';
import { reasonOf } from './file.ts';

/** A flag that cannot be: one line to the user, exit status 2. */
export class FlagError extends Error {
  override name = 'FlagError';
}

/** Directories of the node that the agent writes to. */
export interface Directories {
  stateDir: string;
  /** One conflist per network. */
  cniConfDir: string;
  /** Where container runtimes look. */
  cniNetDir: string;
}

/** `agent run` as the user gave it. */
export interface RunFlags extends Directories {
  node?: string;
  addresses?: string;
  kubeconfig?: string;
  listen: string;
  resync: string;
  logLevel: string;
}

export interface RunOptions extends Directories {
  node: string;
  /** RFC 5952, in the order given, at most one of each family. */
  addresses: string[];
  kubeconfig?: string;
  listen: string;
  resyncMs: number;
  logLevel: Level;
}

/** @throws FlagError */
export function parseRunFlags(flags: RunFlags): RunOptions {
  const { node, addresses, resync, ...rest } = flags;
  if (node === undefined || node === '')
    throw new FlagError('--node (or NODE_NAME) is missing: the name of this Node');
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(node))
    throw new FlagError(`--node "${node}" is no Node name`);
  const resyncMs = parseDuration(resync);
  if (resyncMs === undefined || resyncMs < 1_000 || resyncMs > 86_400_000) {
    throw new FlagError(`--resync "${resync}" is no duration from 1s to 24h, such as 60s or 5m`);
  }
  try {
    parseListen(flags.listen);
  } catch (cause) {
    throw new FlagError(reasonOf(cause), { cause });
  }
  const logLevel = levels.find((level) => level === flags.logLevel);
  if (logLevel === undefined) {
    throw new FlagError(`--log-level "${flags.logLevel}" is none of ${levels.join(', ')}`);
  }
  return { ...rest, node, addresses: parseAddresses(addresses), resyncMs, logLevel };
}

/** `172.17.0.2,fd00::2`; an empty part is ignored, as NODE_IPS of a node with one family may have it. */
function parseAddresses(list = ''): string[] {
  const texts = list.split(',').map((part) => part.trim());
  const addresses = texts.filter((part) => part !== '');
  if (addresses.length === 0)
    throw new FlagError("--addresses (or NODE_IPS) is missing: this node's own addresses");
  for (const text of addresses) {
    if (isIP(text) === 0 || text.includes('%'))
      throw new FlagError(`--addresses: "${text}" is not an IP address`);
  }
  const families = addresses.map((text) => isIP(text));
  if (new Set(families).size < families.length) {
    throw new FlagError(`--addresses "${list}": at most one IPv4 and one IPv6 address`);
  }
  return addresses.map((text) => formatAddress(parseAddress(text)));
}

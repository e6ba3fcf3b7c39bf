import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { parseDuration } from '../api/duration.ts';
import { formatAddress, parseAddress } from '../net/address.ts';
import { objectNamePattern } from '../net/name.ts';
import { certificateFiles, type CertificateFiles } from '../serve/certificate.ts';
import { parseListen } from '../serve/http.ts';
import { formats, levels, type Format, type Level } from '../log.ts';
import type { Directories } from '../host/directories.ts';
import { messageOf } from '../error.ts';

/** A flag is invalid. The user sees one line; the exit status is 2. */
export class FlagError extends Error {
  override name = 'FlagError';
}

/** The flags of `agent run` as the user gave them. */
export interface RunFlags extends Directories {
  node?: string;
  addresses?: string;
  kubeconfig?: string;
  listen: string;
  tlsCert?: string;
  tlsKey?: string;
  resync: string;
  logLevel: string;
  /** Empty: text. */
  logFormat?: string;
  cniPlugin: string;
  /** Empty: keep the permissions of existing files. */
  conflistMode?: string;
  /** Empty: do not use Docker. */
  dockerSocket?: string;
}

export interface RunOptions extends Directories {
  node: string;
  /** RFC 5952, in the order given, at most one of each family. */
  addresses: string[];
  kubeconfig?: string;
  listen: string;
  certificate?: CertificateFiles;
  resyncMs: number;
  logLevel: Level;
  logFormat: Format;
  /** Path of the `overlaynet` plugin. */
  cniPlugin: string;
  /** Permissions of the conflists. */
  conflistMode?: number;
  dockerSocket?: string;
}

/** @throws FlagError */
export function parseRunFlags(flags: RunFlags): RunOptions {
  const { node, addresses, resync, tlsCert, tlsKey, conflistMode: modeText = '', ...rest } = flags;
  if (node === undefined || node === '')
    throw new FlagError('--node (or NODE_NAME) is missing: the name of this Node');
  if (!objectNamePattern.test(node)) throw new FlagError(`--node "${node}" is no Node name`);
  const resyncMs = parseDuration(resync);
  if (resyncMs === undefined || resyncMs < 1_000 || resyncMs > 86_400_000) {
    throw new FlagError(`--resync "${resync}" is no duration from 1s to 24h, such as 60s or 5m`);
  }
  let certificate: CertificateFiles | undefined;
  try {
    parseListen(flags.listen);
    certificate = certificateFiles(tlsCert, tlsKey);
  } catch (cause) {
    throw new FlagError(messageOf(cause), { cause });
  }
  for (const [flag, path] of [
    ['--state-dir', flags.stateDir],
    ['--lease-dir', flags.leaseDir],
    ['--run-dir', flags.runDir],
  ] as const) {
    // conflists hold these paths, and programs that read them run in another directory
    if (!isAbsolute(path)) throw new FlagError(`${flag} "${path}" is no absolute path`);
  }
  const logLevel = levels.find((level) => level === flags.logLevel);
  if (logLevel === undefined) {
    throw new FlagError(`--log-level "${flags.logLevel}" is not one of ${levels.join(', ')}`);
  }
  const { logFormat: formatText = '' } = flags;
  const logFormat = formatText === '' ? 'text' : formats.find((format) => format === formatText);
  if (logFormat === undefined)
    throw new FlagError(`--log-format "${formatText}" is not one of ${formats.join(', ')}`);
  return {
    ...rest,
    ...(modeText === '' ? {} : { conflistMode: parseMode(modeText) }),
    ...(certificate && { certificate }),
    node,
    addresses: parseAddresses(addresses),
    resyncMs,
    logLevel,
    logFormat,
  };
}

/** `0600` */
function parseMode(text: string): number {
  const mode = /^0?[0-7]{3}$/.test(text) ? Number.parseInt(text, 8) : 0;
  if ((mode & 0o600) === 0o600) return mode;
  throw new FlagError(
    `--conflist-mode "${text}" is no mode by which root reads and writes, such as 0600 or 0644`,
  );
}

/**
 * Parses a list of addresses: `172.17.0.2,fd00::2`. Empty parts are ignored, because NODE_IPS of a single-family node
 * may have one.
 */
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

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { attachmentsIn } from '../host/directories.ts';
import { messageOf } from '../error.ts';
import { linkNames } from '../linux/links.ts';
import { readAttachments, recordFile } from '../containers/attachments.ts';
import type { Kept } from './consistency.ts';
import { leasedAddresses } from '../use/leases.ts';

/** How long a container takes to start or stop, at most. */
const settledMs = 30_000;

interface Places {
  stateDir: string;
  leaseDir: string;
  links?: (() => ReadonlySet<string>) | undefined;
}

/** Reads records, leases and links at one moment. Links come last, because a container's record exists before its link. */
export function readKept(
  { stateDir, leaseDir, links = linkNames }: Places,
  networks: readonly string[],
  now = Date.now(),
): Kept {
  const problems: string[] = [];
  const leases = new Map<string, string[]>();
  for (const network of networks) {
    try {
      leases.set(network, leasedAddresses(leaseDir, network));
    } catch (error) {
      problems.push(`leases of ${network}: ${messageOf(error)}`);
    }
  }
  const seen = links();
  const { attachments, problems: unread } = readAttachments(stateDir);
  const isYoung = (file: string) => {
    const changed = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    return changed === undefined || now - changed < settledMs;
  };
  const young = attachments
    .filter((record) => isYoung(join(attachmentsIn(stateDir), recordFile(record))))
    .map(({ containerID }) => containerID);
  const youngLeases = [...leases].flatMap(([network, addresses]) =>
    addresses
      .filter((address) => isYoung(join(leaseDir, network, address)))
      .map((address) => `${network} ${address}`),
  );
  return {
    attachments,
    problems: [...problems, ...unread],
    leases,
    links: seen,
    young: new Set(young),
    youngLeases: new Set(youngLeases),
  };
}

import type { AllocatedNetwork } from '../api/types.ts';
import type { Attachment, Attachments } from '../dataplane/attachment.ts';
import type { Difference } from '../dataplane/difference.ts';
import { parseAddress } from '../net/address.ts';
import { containsAddress, parseCidr } from '../net/cidr.ts';
import { portPattern } from '../net/name.ts';

/** The state that a node keeps of its containers outside of the kernel. */
export interface Kept extends Attachments {
  /** Addresses that host-local has given out, by network; absent if they could not be listed. */
  leases: ReadonlyMap<string, readonly string[]>;
  /** Names of the node's links. */
  links: ReadonlySet<string>;
  /** Ids of containers whose records or leases are so new that the container may be starting or stopping. */
  young: ReadonlySet<string>;
  /** Leases that are so new, as `network address`. */
  youngLeases: ReadonlySet<string>;
}

/**
 * Compares the CNI plugin's records, host-local's leases, the containers' links and the node's blocks. A record that cannot
 * be read may own any lease and any link, so while there is one, no lease or link counts as foreign.
 */
export function keptDifferences(kept: Kept, allocated: readonly AllocatedNetwork[]): Difference[] {
  const { attachments, problems, links, young } = kept;
  const settled = attachments.filter(({ containerID }) => !young.has(containerID));
  return [
    ...settled.flatMap((record) => ofRecord(record, kept, allocated)),
    ...duplicates(attachments),
    ...(problems.length > 0 ? [] : [...foreignLeases(kept), ...foreignPorts(attachments, links, young)]),
  ];
}

const nameOf = ({ namespace = '', pod, containerID }: Attachment): string =>
  pod === undefined ? `container ${containerID}` : `pod ${namespace}/${pod}`;

const real = (addresses: readonly string[]): string[] => addresses.filter((one) => !one.startsWith('fe80:'));

function ofRecord(
  record: Attachment,
  { leases, links }: Kept,
  allocated: readonly AllocatedNetwork[],
): Difference[] {
  return record.interfaces.flatMap(({ network, host, addresses }): Difference[] => {
    const what = nameOf(record);
    const parts = (allocated.find(({ name }) => name === network)?.subnets ?? []).flatMap(({ bridges }) =>
      bridges?.cni === undefined ? [] : [parseCidr(bridges.cni)],
    );
    const leased = leases.get(network);
    return [
      ...(links.has(host)
        ? []
        : [
            one(
              'Missing',
              'Port',
              host,
              network,
              `the link of ${what} is gone: delete the pod, or let its runtime make it anew`,
            ),
          ]),
      ...real(addresses).flatMap((address) => [
        ...(leased === undefined || leased.includes(address)
          ? []
          : [
              one(
                'Missing',
                'Lease',
                address,
                network,
                `${what} has this address, and no lease keeps it from others`,
              ),
            ]),
        ...(parts.some((part) => containsAddress(part, parseAddress(address)))
          ? []
          : [
              one(
                'Wrong',
                'Record',
                address,
                network,
                `${what} has this address, and it is in no block of this node`,
              ),
            ]),
      ]),
    ];
  });
}

function duplicates(attachments: readonly Attachment[]): Difference[] {
  const owners = new Map<string, string[]>();
  for (const record of attachments)
    for (const { network, addresses } of record.interfaces)
      for (const address of real(addresses)) {
        const key = `${network} ${address}`;
        owners.set(key, [...(owners.get(key) ?? []), nameOf(record)]);
      }
  return [...owners].flatMap(([key, names]) => {
    const [network = '', address = ''] = key.split(' ');
    if (names.length < 2) return [];
    return [one('Wrong', 'Record', address, network, `${names.join(' and ')} have the same address`)];
  });
}

function foreignLeases({ attachments, leases, youngLeases }: Kept): Difference[] {
  return [...leases].flatMap(([network, addresses]) => {
    const used = new Set(
      attachments.flatMap(({ interfaces }) =>
        interfaces.flatMap((each) => (each.network === network ? each.addresses : [])),
      ),
    );
    // a starting container has a lease before its record names it
    return addresses
      .filter((address) => !used.has(address) && !youngLeases.has(`${network} ${address}`))
      .map((address) =>
        one(
          'Foreign',
          'Lease',
          address,
          network,
          'no container has this address, and the lease keeps it from others',
        ),
      );
  });
}

function foreignPorts(
  attachments: readonly Attachment[],
  links: ReadonlySet<string>,
  young: ReadonlySet<string>,
): Difference[] {
  if (young.size > 0) return [];
  const recorded = new Set(attachments.flatMap(({ interfaces }) => interfaces.map(({ host }) => host)));
  return [...links]
    .filter((name) => portPattern.test(name) && !recorded.has(name))
    .map((name) =>
      one('Foreign', 'Port', name, undefined, 'it has a name of ours, and no container’s record has it'),
    );
}

const one = (
  is: Difference['is'],
  kind: Difference['kind'],
  object: string,
  network: string | undefined,
  message: string,
): Difference => ({ is, kind, object, ...(network === undefined ? {} : { network }), message });

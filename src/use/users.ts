import type { NetworkUser } from '../api/types.ts';
import { parseAddress } from '../net/address.ts';
import { containsAddress, overlaps, parseCidr, type Cidr } from '../net/cidr.ts';
import { linkNames } from '../linux/links.ts';
import { readAttachments, recordFile } from '../containers/attachments.ts';

/**
 * How long an answered container counts without a record. The plugin writes the record as soon as it has its answer, so
 * after this time there will be none.
 */
const promisedMs = 10_000;

/** The most users that the status names, for a network or a block. */
export const mostNamed = 20;

/** Finds the CNI containers that use a network of this node: those with a record whose port exists. */
export class Users {
  readonly #stateDir: string;
  readonly #links: () => ReadonlySet<string>;
  /** Containers that have an answer but perhaps no record yet, by container. */
  readonly #promised = new Map<string, { networks: readonly Promised[]; user: NetworkUser; at: number }>();

  /** @param options.links names of the node's links now; by default those of this process's network namespace */
  constructor(options: { stateDir: string; links?: (() => ReadonlySet<string>) | undefined }) {
    this.#stateDir = options.stateDir;
    this.#links = options.links ?? linkNames;
  }

  /** Counts a container that was answered to join these networks, before its record exists. */
  promise(networks: readonly Promised[], asked: Joining): void {
    this.#promised.set(recordFile(asked), {
      networks,
      user: userOf(asked),
      at: performance.now(),
    });
  }

  /** Forgets a container that was refused. */
  forget(asked: Joining): void {
    this.#promised.delete(recordFile(asked));
  }

  /** Reads records and links once. A record that cannot be read counts for every network and every block. */
  read(): UsersOf {
    const found = new Map<string, Found[]>();
    const add = (network: string, one: Found) => {
      found.set(network, [...(found.get(network) ?? []), one]);
    };
    const links = this.#links();
    const { attachments, problems } = readAttachments(this.#stateDir);
    for (const { containerID, ifname, namespace, pod, interfaces } of attachments) {
      // the plugin writes the record first, then creates one port after the other
      if (interfaces.length > 0 && interfaces.every(({ host }) => links.has(host)))
        this.#promised.delete(recordFile({ containerID, ifname }));
      for (const { network, host, addresses } of interfaces) {
        if (!links.has(host)) continue;
        const own = addresses.filter((one) => !one.startsWith('fe80:'));
        add(network, { user: userOf({ containerID, ifname, namespace, pod }), addresses: own });
      }
    }
    for (const [record, { networks, user, at }] of this.#promised) {
      if (performance.now() - at > promisedMs) this.#promised.delete(record);
      else for (const { name, ranges } of networks) add(name, { user, addresses: [], ranges });
    }
    const unread = problems.map((problem) => ({ container: printable(problem) }));
    return (network, block) => [
      ...(found.get(network) ?? []).flatMap((one) =>
        block === undefined ? userIn(one) : usersIn(one, block),
      ),
      ...unread,
    ];
  }
}

/** The users of a network, or of one block of it. */
export type UsersOf = (network: string, block?: Cidr) => NetworkUser[];

/** A network that the agent's answer let a container join. */
interface Promised {
  name: string;
  /** The ranges of its address; undefined if not known yet. */
  ranges?: readonly string[] | undefined;
}

interface Found {
  user: NetworkUser;
  addresses: readonly string[];
  /** The ranges of a container that has no address yet. */
  ranges?: readonly string[] | undefined;
}

const userIn = ({ user, addresses: [address] }: Found): NetworkUser => ({
  ...user,
  ...(address === undefined ? {} : { address }),
});

/** The users in a block. A container without a known address may be in any block. */
function usersIn({ user, addresses, ranges }: Found, block: Cidr): NetworkUser[] {
  if (addresses.length === 0) {
    const isOther = ranges?.every((range) => !overlaps(block, parseCidr(range))) === true;
    return isOther ? [] : [user];
  }
  const address = addresses.find((one) => containsAddress(block, parseAddress(one)));
  return address === undefined ? [] : [{ ...user, address }];
}

interface Joining {
  containerID: string;
  ifname: string;
  namespace?: string | undefined;
  pod?: string | undefined;
}

const userOf = ({ containerID, namespace, pod }: Joining): NetworkUser =>
  pod === undefined ? { container: containerID } : { pod: `${namespace ?? ''}/${pod}` };

/** Limits the text to what the CRD accepts. */
export const printable = (text: string): string => text.replace(/[^ -~]/g, '?').slice(0, 253);

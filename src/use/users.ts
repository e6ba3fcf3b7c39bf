import type { NetworkUser } from '../api/types.ts';
import { parseAddress } from '../net/address.ts';
import { containsAddress, overlaps, parseCidr, type Cidr } from '../net/cidr.ts';
import { linkNames } from '../linux/links.ts';
import { readAttachments, recordFile } from '../containers/attachments.ts';

/** The plugin writes a container's record as soon as it has its answer; after so long there was none. */
const promisedMs = 10_000;

/** Users that the status names at most, of a network or of a block. */
export const mostNamed = 20;

/** Containers that came by CNI and use a network of this node: by their records, as long as their port is there. */
export class Users {
  readonly #stateDir: string;
  readonly #links: () => ReadonlySet<string>;
  /** Answers to the plugin whose records may not be there yet, by container. */
  readonly #promised = new Map<string, { networks: readonly Promised[]; user: NetworkUser; at: number }>();

  /** @param options.links names of the node's links now; by default those of this process's network namespace */
  constructor(options: { stateDir: string; links?: (() => ReadonlySet<string>) | undefined }) {
    this.#stateDir = options.stateDir;
    this.#links = options.links ?? linkNames;
  }

  /** A container was told to join these: it is counted before its record is there. */
  promise(networks: readonly Promised[], asked: Joining): void {
    this.#promised.set(recordFile(asked), {
      networks,
      user: userOf(asked),
      at: performance.now(),
    });
  }

  /** It was refused. */
  forget(asked: Joining): void {
    this.#promised.delete(recordFile(asked));
  }

  /** Reads records and links once. A record that cannot be read may be of any network, and of any block. */
  read(): UsersOf {
    const found = new Map<string, Found[]>();
    const add = (network: string, one: Found) => {
      found.set(network, [...(found.get(network) ?? []), one]);
    };
    const links = this.#links();
    const { attachments, problems } = readAttachments(this.#stateDir);
    for (const { containerID, ifname, namespace, pod, interfaces } of attachments) {
      // the record comes first, then one port after the other
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

/** A network that a container was told to join. */
interface Promised {
  name: string;
  /** What its address is taken from; undefined: not known yet. */
  ranges?: readonly string[] | undefined;
}

interface Found {
  user: NetworkUser;
  addresses: readonly string[];
  /** Of one that has no address yet. */
  ranges?: readonly string[] | undefined;
}

const userIn = ({ user, addresses: [address] }: Found): NetworkUser => ({
  ...user,
  ...(address === undefined ? {} : { address }),
});

/** One of which no address is known may be in any block. */
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

/** As the CRD takes it. */
export const printable = (text: string): string => text.replace(/[^ -~]/g, '?').slice(0, 253);

import type { NetworkUser } from '../api/types.ts';
import { linkNames } from '../linux/links.ts';
import { readAttachments, recordFile } from '../containers/attachments.ts';

/** The plugin writes a container's record as soon as it has its answer; after so long there was none. */
const promisedMs = 10_000;

/** Containers that came by CNI and use a network of this node: by their records, as long as their port is there. */
export class Users {
  readonly #stateDir: string;
  readonly #links: () => ReadonlySet<string>;
  /** Answers to the plugin whose records may not be there yet, by container. */
  readonly #promised = new Map<string, { networks: readonly string[]; user: NetworkUser; at: number }>();

  /** @param options.links names of the node's links now; by default those of this process's network namespace */
  constructor(options: { stateDir: string; links?: (() => ReadonlySet<string>) | undefined }) {
    this.#stateDir = options.stateDir;
    this.#links = options.links ?? linkNames;
  }

  /** A container was told to join these: it is counted before its record is there. */
  promise(networks: readonly string[], asked: Joining): void {
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

  /**
   * Reads records and links once, and returns a function that gives the users of each network. A record that cannot be
   * read may be of any network.
   */
  read(): (network: string) => NetworkUser[] {
    const users = new Map<string, NetworkUser[]>();
    const add = (network: string, user: NetworkUser) => {
      users.set(network, [...(users.get(network) ?? []), user]);
    };
    const links = this.#links();
    const { attachments, problems } = readAttachments(this.#stateDir);
    for (const { containerID, ifname, namespace, pod, interfaces } of attachments) {
      // the record comes first, then one port after the other
      if (interfaces.length > 0 && interfaces.every(({ host }) => links.has(host)))
        this.#promised.delete(recordFile({ containerID, ifname }));
      for (const { network, host, addresses } of interfaces) {
        if (!links.has(host)) continue;
        const address = addresses.find((one) => !one.startsWith('fe80:'));
        const user = userOf({ containerID, ifname, namespace, pod });
        add(network, { ...user, ...(address === undefined ? {} : { address }) });
      }
    }
    for (const [record, { networks, user, at }] of this.#promised) {
      if (performance.now() - at > promisedMs) this.#promised.delete(record);
      else for (const network of networks) add(network, user);
    }
    const unread = problems.map((problem) => ({ container: printable(problem) }));
    return (network) => [...(users.get(network) ?? []), ...unread];
  }
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

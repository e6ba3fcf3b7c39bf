import type { NetworkUser } from '../api/types.ts';
import { linkNames } from '../linux/links.ts';
import { readAttachments, recordFile } from './attachments.ts';

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
    const { containerID, namespace, pod } = asked;
    this.#promised.set(recordFile(asked), {
      networks,
      user: pod === undefined ? { container: containerID } : { pod: `${namespace ?? ''}/${pod}` },
      at: performance.now(),
    });
  }

  /** It was refused. */
  forget(asked: Joining): void {
    this.#promised.delete(recordFile(asked));
  }

  /** Who uses the network. A record that cannot be read may be of any network. */
  of(network: string): NetworkUser[] {
    const links = this.#links();
    const { attachments, problems } = readAttachments(this.#stateDir);
    const users: NetworkUser[] = [];
    for (const { containerID, ifname, namespace, pod, interfaces } of attachments) {
      // the record comes first, then one port after the other
      if (interfaces.length > 0 && interfaces.every(({ host }) => links.has(host)))
        this.#promised.delete(recordFile({ containerID, ifname }));
      for (const { network: of, host, addresses } of interfaces) {
        if (of !== network || !links.has(host)) continue;
        const address = addresses.find((one) => !one.startsWith('fe80:'));
        users.push({
          ...(pod === undefined ? { container: containerID } : { pod: `${namespace ?? ''}/${pod}` }),
          ...(address === undefined ? {} : { address }),
        });
      }
    }
    for (const [record, { networks, user, at }] of this.#promised) {
      if (performance.now() - at > promisedMs) this.#promised.delete(record);
      else if (networks.includes(network)) users.push(user);
    }
    return [...users, ...problems.map((problem) => ({ container: printable(problem) }))];
  }
}

interface Joining {
  containerID: string;
  ifname: string;
  namespace?: string;
  pod?: string;
}

/** As the CRD takes it. */
export const printable = (text: string): string => text.replace(/[^ -~]/g, '?').slice(0, 253);

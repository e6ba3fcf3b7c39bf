import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { linkNames } from '../linux/links.ts';
import type { Log } from '../log.ts';
import { readAttachments } from './attachments.ts';
import { defaultConflist, isConflistOf, renderConflists, withChained, type Conflist } from './conflist.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { readIfPresent, temporaryOf, writeAtomically } from '../host/file.ts';
import {
  attachmentsIn,
  markIn,
  socketIn,
  takenFrom,
  untoldBeside,
  type Directories,
} from '../host/directories.ts';
import { Removal } from '../host/removal.ts';
import type { Failure } from '../dataplane/state.ts';
import { isErrno, messageOf } from '../error.ts';

const extension = '.conflist';

/** The first name in lexical order, because a runtime takes the first file of its directory. */
const defaultFile = `05-overlaynet${extension}`;

const bootID = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/**
 * The agent's files for CNI runtimes: `NETWORK.conflist` in a directory of their own, one file in the runtimes'
 * directory, the mark that the data path is complete, and the leases of networks that are gone. Files of other
 * programs are never changed.
 */
export class CNIFiles {
  /** Networks that may have a conflist or leases made by overlaynet. */
  readonly owned: Set<string>;
  /** Types of other programs' plugins that are chained behind ours in the runtimes' file. */
  chained: readonly string[] = [];
  readonly #directories: Directories;
  readonly #mode: number | undefined;
  readonly #log: Log;
  readonly #links: () => ReadonlySet<string>;
  readonly #removal: Pick<Removal, 'remove'> | undefined;

  /**
   * @param options.owned from the checkpoint
   * @param options.links names of the node's links now
   * @param options.removal removes files and directories
   * @param options.mode of the conflists; by default that of an existing file, and 0644 for a new one
   */
  constructor(options: {
    directories: Directories;
    log: Log;
    owned?: Iterable<string>;
    links?: () => ReadonlySet<string>;
    removal?: Pick<Removal, 'remove'>;
    mode?: number | undefined;
  }) {
    this.#mode = options.mode;
    this.#directories = options.directories;
    this.#log = options.log;
    this.#links = options.links ?? linkNames;
    this.#removal = options.removal;
    this.owned = new Set(options.owned);
  }

  /** The wanted conflists of the networks. */
  conflists(snapshot: Snapshot): Conflist[] {
    return renderConflists(snapshot, this.#paths);
  }

  /**
   * Removes the conflists of networks that the node no longer has. It must be called before their bridges are
   * removed.
   */
  withdraw(wanted: readonly Conflist[]): Failure[] {
    const keep = new Set(wanted.map(({ network }) => network));
    return this.#try(undefined, () => {
      for (const network of this.#written()) {
        if (!keep.has(network)) this.#remove(this.#path(network));
      }
    });
  }

  /**
   * Writes conflists that differ from what is on disk.
   * @param ready networks whose data path is complete; conflists of others stay as they are
   */
  publish(ready: readonly Conflist[]): Failure[] {
    return ready.flatMap(({ network, text }) =>
      this.#try(network, () => {
        this.owned.add(network);
        this.#write(this.#path(network), text);
      }),
    );
  }

  /**
   * Lets runtimes use the node; called once its data path is complete. This is never undone: a runtime that loses its
   * configuration makes the node NotReady, and a container without a network gets an error anyway.
   */
  open(): Failure[] {
    return this.#try(undefined, () => {
      const { runDir, cniConfDir } = this.#directories;
      this.#write(markIn(runDir), `${bootID()}\n`);
      const path = this.#defaultPath;
      const { text, chained } = withChained(defaultConflist(this.#paths), readIfPresent(path));
      this.chained = chained;
      // a runtime that watches its directory would read a half-written file
      this.#write(path, text, cniConfDir);
    });
  }

  /** Whether `open` was called since the machine started. */
  get isOpen(): boolean {
    try {
      return readFileSync(markIn(this.#directories.runDir), 'utf8').trim() === bootID();
    } catch {
      return false;
    }
  }

  /** The file that runtimes use instead of ours: the one that comes first by name. */
  get first(): string | undefined {
    try {
      const files = readdirSync(this.#directories.cniNetDir).filter((file) =>
        /\.(conf|conflist|json)$/.test(file),
      );
      const [first = defaultFile] = files.sort();
      return first < defaultFile ? join(this.#directories.cniNetDir, first) : undefined;
    } catch {
      return undefined; // `open` reports it
    }
  }

  /**
   * Removes the leases of networks that the node no longer has; called once their bridges are gone.
   * @param keep names of the node's networks, and of those whose bridge may still exist
   * @returns the failures and, as `held`, the containers that keep their leases for now
   */
  removeLeases(keep: ReadonlySet<string>): { failures: Failure[]; held: string[] } {
    const former = [...this.owned].filter((network) => !keep.has(network));
    const containers = former.length === 0 ? new Map<string, string[]>() : this.#liveContainers();
    const held: string[] = [];
    const failures = former.flatMap((network) =>
      this.#try(network, () => {
        const live = containers.get(network) ?? [];
        if (live.length > 0) held.push(`network ${network} is gone, and still has ${containersText(live)}`);
        else this.#remove(join(this.#directories.leaseDir, network));
        if (live.length === 0 && !existsSync(this.#path(network))) this.owned.delete(network);
      }),
    );
    return { failures, held };
  }

  /** Removes all our files in these directories except the leases. The networks with leases are known from then on. */
  removeAll(): Failure[] {
    const { runDir, stateDir, cniConfDir } = this.#directories;
    for (const { interfaces } of readAttachments(stateDir).attachments) {
      for (const { network } of interfaces) this.owned.add(network);
    }
    const written = [this.#defaultPath, markIn(runDir)];
    const untold = untoldBeside(socketIn(runDir));
    const files = [
      ...written,
      ...written.map((path) => temporaryOf(path)),
      socketIn(runDir),
      untold,
      takenFrom(untold),
      attachmentsIn(stateDir),
    ];
    return [
      ...this.#try(undefined, () => {
        for (const file of filesIn(cniConfDir)) {
          if (/^\..*\.conflist\.tmp$/.test(file)) this.#remove(join(cniConfDir, file));
        }
      }),
      ...files.flatMap((path) =>
        this.#try(undefined, () => {
          this.#remove(path);
        }),
      ),
      ...this.withdraw([]),
    ];
  }

  get #paths() {
    const { runDir, stateDir, leaseDir } = this.#directories;
    return { socket: socketIn(runDir), stateDir, leaseDir };
  }

  get #defaultPath(): string {
    return join(this.#directories.cniNetDir, defaultFile);
  }

  #path(network: string): string {
    return join(this.#directories.cniConfDir, network + extension);
  }

  /** Containers whose port is in the kernel, by network. */
  #liveContainers(): Map<string, string[]> {
    const links = this.#links();
    const live = new Map<string, string[]>();
    for (const { containerID, namespace, pod, interfaces } of readAttachments(this.#directories.stateDir)
      .attachments) {
      const name = pod === undefined ? `container ${containerID}` : `pod ${namespace ?? ''}/${pod}`;
      for (const { network, host } of interfaces) {
        if (links.has(host)) live.set(network, [...(live.get(network) ?? []), name]);
      }
    }
    return live;
  }

  /** Networks whose conflist is on disk and is overlaynet's, by our memory or by its content. */
  #written(): string[] {
    const named = filesIn(this.#directories.cniConfDir)
      .filter((file) => file.endsWith(extension))
      .map((file) => file.slice(0, -extension.length));
    const ours = named.filter(
      (network) => this.owned.has(network) || isConflistOf(readIfPresent(this.#path(network)) ?? '', network),
    );
    for (const network of ours) this.owned.add(network);
    return ours;
  }

  #write(path: string, text: string, scratch?: string): void {
    const present = modeOf(path);
    // permissions set by an administrator stay, unless the agent has a flag for them
    const mode = (path.endsWith(extension) ? this.#mode : undefined) ?? present ?? 0o644;
    if (readIfPresent(path) === text) {
      if (present === mode) return;
      chmodSync(path, mode);
      this.#log.info('mode changed', { file: path, mode: mode.toString(8) });
      return;
    }
    writeAtomically(path, text, mode, scratch);
    this.#log.info('written', { file: path });
  }

  #remove(path: string): void {
    if (!existsSync(path)) return;
    (this.#removal ?? new Removal()).remove(path);
    this.#log.info('removed', { file: path });
  }

  #try(network: string | undefined, work: () => void): Failure[] {
    try {
      work();
      return [];
    } catch (error) {
      return [{ ...(network === undefined ? {} : { network }), message: messageOf(error) }];
    }
  }
}

/** A file's permissions; undefined if it does not exist. */
const modeOf = (path: string): number | undefined => {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode;
  return mode === undefined ? undefined : mode & 0o777;
};

function filesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

const containersText = (names: readonly string[]): string =>
  `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;

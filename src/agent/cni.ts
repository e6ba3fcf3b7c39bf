import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../log.ts';
import { isConflistOf, nameIn, type Conflist } from './conflist.ts';
import { isErrno, readIfPresent, reasonOf, writeAtomically } from './file.ts';
import type { Directories } from './flags.ts';
import type { Failure } from './status.ts';

const extension = '.conflist';

/** First in lexical order: a runtime takes the first file of its directory. */
const defaultFile = `05-overlaynet${extension}`;

/** Where host-local keeps its leases, unless told. */
const defaultLeaseDir = '/var/lib/cni/networks';

/**
 * The agent's files for CNI runtimes: `NETWORK.conflist` in a directory of their own, one file in the runtimes'
 * directory, and host-local's leases. Files of others are never touched.
 */
export class CNIFiles {
  /** Networks for which there may be a conflist or leases of ours. */
  readonly owned: Set<string>;
  readonly #directories: Directories;
  readonly #leaseDir: string;
  readonly #log: Log;
  readonly #onRemoved: (path: string) => void;

  /**
   * @param options.owned from the checkpoint
   * @param options.onRemoved told of each file and directory that went
   */
  constructor(options: {
    directories: Directories;
    log: Log;
    owned?: Iterable<string>;
    leaseDir?: string;
    onRemoved?: (path: string) => void;
  }) {
    this.#directories = options.directories;
    this.#leaseDir = options.leaseDir ?? defaultLeaseDir;
    this.#log = options.log;
    this.#onRemoved = options.onRemoved ?? (() => undefined);
    this.owned = new Set(options.owned);
  }

  /** Removes the conflists of networks that the node no longer has; to be called before their bridges go. */
  withdraw(wanted: readonly Conflist[]): Failure[] {
    const keep = new Set(wanted.map(({ network }) => network));
    return [
      ...this.#try(undefined, () => {
        const text = readIfPresent(this.#defaultPath);
        if (text !== undefined && !keep.has(nameIn(text) ?? '')) this.#remove(this.#defaultPath);
      }),
      ...this.#try(undefined, () => {
        for (const network of this.#written()) {
          if (!keep.has(network)) this.#remove(this.#path(network));
        }
      }),
    ];
  }

  /**
   * Writes conflists that differ from what is on disk.
   * @param ready those whose data path is complete; others stay as they are
   * @param preferred the one for the runtimes' directory; undefined: none belongs there
   */
  publish(ready: readonly Conflist[], preferred: Conflist | undefined): Failure[] {
    const failures = ready.flatMap(({ network, text }) =>
      this.#try(network, () => {
        this.owned.add(network);
        this.#write(this.#path(network), text);
      }),
    );
    const first = this.#try(preferred?.network, () => {
      if (preferred === undefined) this.#remove(this.#defaultPath);
      else if (ready.includes(preferred)) this.#write(this.#defaultPath, preferred.text);
    });
    return [...failures, ...first];
  }

  /**
   * Removes the leases of networks that the node no longer has; to be called once their bridges are gone.
   * @param keep names of those that it has, and of those whose bridge may still be there
   */
  removeLeases(keep: ReadonlySet<string>): Failure[] {
    return [...this.owned]
      .filter((network) => !keep.has(network))
      .flatMap((network) =>
        this.#try(network, () => {
          this.#remove(join(this.#leaseDir, network));
          if (!existsSync(this.#path(network))) this.owned.delete(network);
        }),
      );
  }

  get #defaultPath(): string {
    return join(this.#directories.cniNetDir, defaultFile);
  }

  #path(network: string): string {
    return join(this.#directories.cniConfDir, network + extension);
  }

  /** Networks whose conflist is on disk and ours, by our memory or by what it says. */
  #written(): string[] {
    let files: string[];
    try {
      files = readdirSync(this.#directories.cniConfDir);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return [];
      throw error;
    }
    const named = files
      .filter((file) => file.endsWith(extension))
      .map((file) => file.slice(0, -extension.length));
    const ours = named.filter(
      (network) => this.owned.has(network) || isConflistOf(readIfPresent(this.#path(network)) ?? '', network),
    );
    for (const network of ours) this.owned.add(network);
    return ours;
  }

  #write(path: string, text: string): void {
    if (readIfPresent(path) === text) return;
    // not in the watched directory: a runtime would read a half-written file
    writeAtomically(path, text, 0o644, this.#directories.stateDir);
    this.#log.info('conflist written', { file: path });
  }

  #remove(path: string): void {
    if (!existsSync(path)) return;
    rmSync(path, { recursive: true });
    this.#log.info('removed', { file: path });
    this.#onRemoved(path);
  }

  #try(network: string | undefined, work: () => void): Failure[] {
    try {
      work();
      return [];
    } catch (error) {
      return [{ ...(network === undefined ? {} : { network }), message: reasonOf(error) }];
    }
  }
}

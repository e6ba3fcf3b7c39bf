import { createHash } from 'node:crypto';
import { renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Blocks, Snapshot } from '../dataplane/snapshot.ts';
import type { Log } from '../log.ts';
import { isName } from '../net/name.ts';
import type { Belief } from '../belief/belief.ts';
import type { Namespace } from '../containers/requested.ts';
import { readIfPresent, writeAtomically } from '../host/file.ts';
import { messageOf } from '../error.ts';

const version = 1;
const file = 'checkpoint.json';

/** The facts with which an agent keeps everything as it was if it starts while the API server is away. */
export interface Checkpoint {
  snapshot: Snapshot;
  /** Networks for which this agent may have made conflists and leases. */
  networks: string[];
  /** For containers that start while the API server is away. */
  namespaces: readonly Namespace[];
  /** The highest resourceVersion seen when this was written. */
  seenResourceVersion?: string;
  /** The objects that the agent did not believe, and since when. Absent in checkpoints of older agents. */
  belief?: Remembered;
}

/** The part of the belief that does not follow from the snapshot; of peers only those that are lost. */
export interface Remembered extends Pick<Belief, 'configUID' | 'doubt'> {
  gone?: Pick<Belief['lostPeers'][number], 'node' | 'since' | 'mass'>[];
}

/**
 * `checkpoint.json` in the agent's state directory. Errors with it never stop the agent; `problem` reports them.
 * Under a stream of changes it is written once per `intervalMs`, because it is 3 MB at 5,000 peers.
 */
export class CheckpointFile {
  readonly path: string;
  /** Why the file cannot be read or written. */
  problem: string | undefined;
  /** What was wrong with the file found at the start, and where that file is now. */
  movedAside: string | undefined;
  readonly #log: Log;
  readonly #intervalMs: number;
  readonly #onProblem: () => void;
  #written: Checkpoint | undefined;
  #digest: string | undefined;
  #pending: Checkpoint | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastAttempt = -Infinity;
  /** Identifies the file as it was last read or written. */
  #stamp: string | undefined;

  /** @param options.onProblem called when `problem` changes after the start: `load` only sets it */
  constructor(options: { dir: string; log: Log; onProblem?: () => void; intervalMs?: number }) {
    this.path = join(options.dir, file);
    this.#log = options.log;
    this.#onProblem = options.onProblem ?? (() => undefined);
    this.#intervalMs = options.intervalMs ?? 3_000;
  }

  /**
   * Reads this node's checkpoint. Returns undefined if the file does not exist, cannot be read or is invalid. An invalid
   * file is moved aside and reported.
   */
  load(node: string): Checkpoint | undefined {
    try {
      const text = readIfPresent(this.path);
      if (text === undefined) return undefined;
      const read = parseCheckpoint(text, node);
      if (typeof read !== 'string') {
        this.#digest = digest(read);
        this.#written = read;
        this.#stamp = stampOf(this.path);
        return read;
      }
      this.#moveAside(read);
    } catch (error) {
      this.#note({ verb: 'read', why: messageOf(error) });
    }
    return undefined;
  }

  /** Saves a checkpoint now or within `intervalMs`. Nothing is written where nothing changed. */
  save(checkpoint: Checkpoint): void {
    if (
      this.#written !== undefined &&
      this.#pending === undefined &&
      same(this.#written, checkpoint) &&
      this.#isIntact
    )
      return;
    this.#pending = checkpoint;
    if (this.#timer !== undefined) return;
    const wait = this.#lastAttempt + this.#intervalMs - Date.now();
    if (wait <= 0) {
      this.flush();
    } else {
      this.#timer = setTimeout(() => {
        this.flush();
      }, wait).unref();
    }
  }

  /** Writes a checkpoint that is still waiting. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const pending = this.#pending;
    if (pending === undefined) return;
    this.#pending = undefined;
    this.#lastAttempt = Date.now();
    try {
      const now = digest(pending);
      if (now !== this.#digest || this.#written === undefined || !this.#isIntact) {
        writeAtomically(this.path, `${JSON.stringify({ version, ...pending })}\n`, 0o600);
        this.#stamp = stampOf(this.path);
      }
      this.#digest = now;
      this.#written = pending;
      this.#report(undefined);
    } catch (error) {
      this.#written = undefined;
      this.#report({ verb: 'write', why: messageOf(error) });
    }
  }

  /** Whether no other program has removed or changed the file since. */
  get #isIntact(): boolean {
    return this.#stamp !== undefined && stampOf(this.path) === this.#stamp;
  }

  #moveAside(why: string): void {
    const aside = `${this.path}.corrupt-${new Date().toISOString().replace(/[:.]/g, '')}`;
    renameSync(this.path, aside);
    this.movedAside = `${why}; it was moved to ${aside}`;
    this.#log.error(this.movedAside, { object: this.path, command: `read ${this.path}`, output: why });
  }

  #report(fault: FileFault | undefined): void {
    if (sentence(fault) === this.problem) return;
    this.#note(fault);
    this.#onProblem();
  }

  #note(fault: FileFault | undefined): void {
    this.problem = sentence(fault);
    if (fault === undefined) {
      this.#log.info('the checkpoint is written again', { file: this.path });
      return;
    }
    const { verb, why } = fault;
    const command = `${verb} ${this.path}`;
    this.#log.error(`cannot ${verb} the checkpoint`, { object: this.path, command, output: why });
  }
}

/** What could not be done to the file, and why. */
interface FileFault {
  verb: 'read' | 'write';
  why: string;
}

const sentence = (fault: FileFault | undefined): string | undefined =>
  fault && `cannot ${fault.verb} the checkpoint: ${fault.why}`;

/** Changes when the file is replaced or written to; undefined if there is no file. */
function stampOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
}

/** Networks that an agent's checkpoint in `dir` names as its own, even if the rest of it is invalid. */
export function networksInCheckpoint(dir: string): string[] {
  try {
    const { networks } = JSON.parse(readIfPresent(join(dir, file)) ?? '{}') as { networks?: unknown[] };
    return (networks ?? []).filter((name) => typeof name === 'string').filter(isName);
  } catch {
    return [];
  }
}

/** Parses a checkpoint, or says why it is not one of this node. */
export function parseCheckpoint(text: string, node: string): Checkpoint | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `the checkpoint is corrupt: ${messageOf(error)}`;
  }
  const read = value as Partial<Checkpoint & { version: unknown }> | null;
  if (read?.version !== version) return `the checkpoint is corrupt: its version is not ${version}`;
  const { snapshot, networks, namespaces = [], seenResourceVersion, belief } = read;
  if (
    !Array.isArray(networks) ||
    // they become part of paths that are removed
    !networks.every(isName) ||
    !Array.isArray(namespaces) ||
    !namespaces.every((one: Partial<Namespace> | null) => typeof one?.name === 'string') ||
    !Array.isArray(snapshot?.networks) ||
    !Array.isArray(snapshot.allocations) ||
    typeof (snapshot.config as { vni?: unknown } | undefined)?.vni !== 'number' ||
    !areBlocks(snapshot.docker ?? []) ||
    !isRemembered(belief ?? {})
  ) {
    return 'the checkpoint is corrupt: parts of it are missing';
  }
  if (snapshot.node !== node) return `the checkpoint is of node "${snapshot.node}"`;
  const seen = seenResourceVersion === undefined ? {} : { seenResourceVersion };
  return { snapshot, networks, namespaces, ...seen, ...(belief === undefined ? {} : { belief }) };
}

const isRemembered = ({ doubt, gone = [] }: Partial<Remembered>): boolean =>
  (doubt === undefined || typeof doubt.since === 'number') &&
  Array.isArray(gone) &&
  gone.every((one: Partial<Belief['lostPeers'][number]> | null) => typeof one?.since === 'number');

/** Checks names, because they become names of sets and parts of rules. */
const areBlocks = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.every(
    ({ name, subnets }: Partial<Blocks[number]>) =>
      name !== undefined && isName(name) && Array.isArray(subnets),
  );

/**
 * Whether two checkpoints have the same text. A relist replaces every object by an equal one, so only the text can
 * tell; versions seen do not count.
 */
const digest = ({ snapshot, networks, namespaces, belief }: Checkpoint): string =>
  createHash('sha256')
    .update(JSON.stringify([snapshot, networks, namespaces, belief]))
    .digest('hex');

const same = (a: Checkpoint, b: Checkpoint): boolean =>
  JSON.stringify([a.networks, a.belief]) === JSON.stringify([b.networks, b.belief]) &&
  a.namespaces === b.namespaces &&
  sameSnapshot(a.snapshot, b.snapshot);

/**
 * A cheap comparison that is false for some equal checkpoints: caches return the same objects until they change or
 * are listed again.
 */
export const sameSnapshot = (a: Snapshot, b: Snapshot): boolean =>
  a === b ||
  (a.allocations.length === b.allocations.length &&
    a.allocations.every(({ spec }, i) => spec === b.allocations[i]?.spec) &&
    rest(a) === rest(b));

const rest = ({ config, configMetadata = {}, networks, apiServers, docker = [] }: Snapshot): string =>
  JSON.stringify([config, configMetadata, networks, apiServers, docker]);

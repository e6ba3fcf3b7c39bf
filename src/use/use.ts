import { parseDuration } from '../api/duration.ts';
import { defaultStaleAfterMs, isWaiting } from '../api/inuse.ts';
import type {
  AgentAllocationSpec,
  NetworkUser,
  NetworkUsers,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
} from '../api/types.ts';
import type { NodeUsage } from '../api/usage.ts';
import type { Ask } from '../containers/ask.ts';
import type { Choice, Known } from '../containers/choose.ts';
import { deletionAnswers, type DeletionAnswers } from './deletion.ts';
import { Joining } from './joining.ts';
import { printable, Users, type UsersOf } from './users.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import type { Docker } from '../docker/docker.ts';
import { drainAnswers, isDraining, type DrainAnswers } from './drain.ts';
import type { Informer } from '../kube/informer.ts';
import { UsageCounter, type Counted } from './counter.ts';

/** How soon a new container is counted, and how often containers are counted while a network waits for its last ones. */
const soonMs = 1_000;
const waitingMs = 2_000;

/** How long a network counts as used after its last container. Short-lived containers then cause no writes. */
const restMs = 60_000;

interface Parts {
  stateDir: string;
  leaseDir: string;
  links: (() => ReadonlySet<string>) | undefined;
  docker: Pick<Docker, 'endpoints' | 'blocks' | 'finding'> | undefined;
  caches: {
    agents: Pick<Informer<OverlayAgent>, 'hasSynced'>;
    /** This node's OverlayAgent. */
    agent: OverlayAgent | undefined;
    networks: Pick<Informer<OverlayNetwork>, 'list'>;
    configs: Pick<Informer<OverlayConfig>, 'get'>;
  };
  /** The last pass over the kernel. */
  pass: {
    snapshot: Snapshot | undefined;
    /** This node's part of the snapshot. */
    held: AgentAllocationSpec | undefined;
    /** What the last pass applied; undefined until the first pass ends. */
    applied: unknown;
  };
  /** Called with each count of addresses. */
  onCount: (usage: NodeUsage) => void;
  /**
   * Writes the state from which containers get their networks to disk, for an agent that starts without the API server.
   * @returns whether it is on disk
   */
  record: () => boolean;
  /** When this agent started, by the monotonic clock; by default now. */
  startedAt?: number;
  /** Called with each count of containers, by network. */
  onContainers?: (counts: ReadonlyMap<string, { CNI: number; Docker: number }>) => void;
}

/** The use of each network in an agent's status. */
export interface ReportedUse {
  /** Undefined before the first count. */
  usage: NodeUsage | undefined;
  /** Undefined before the first count. */
  inUse: ReadonlySet<string> | undefined;
  users: ReadonlyMap<string, NetworkUsers>;
  draining: DrainAnswers;
}

/** Knows which containers use this node's networks, and how full its blocks are. */
export class Use {
  readonly #parts: Parts;
  readonly #usage: UsageCounter;
  readonly #containers: Users;
  /** When a container was last seen on each network, by network. */
  readonly #seen = new Map<string, number>();
  #inUse: ReadonlySet<string> | undefined;
  #users: DeletionAnswers = new Map();
  #draining: DrainAnswers = new Map();
  readonly #joining: Joining;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { stateDir, leaseDir, links, docker, onCount, startedAt = performance.now() } = parts;
    this.#joining = new Joining(startedAt);
    this.#usage = new UsageCounter({ leaseDir, docker, onCount });
    this.#containers = new Users({ stateDir, links });
  }

  get reported(): ReportedUse {
    return { usage: this.#usage.reported, inUse: this.#inUse, users: this.#users, draining: this.#draining };
  }

  /** How full this node's networks are, in words. */
  get text(): string {
    return this.#usage.text(this.#counted);
  }

  /**
   * Counts.
   * @returns whether the status changes, and when to count again; undefined before the first pass
   */
  async look(): Promise<{ changed: boolean; againMs: number } | undefined> {
    const { pass, caches } = this.#parts;
    if (pass.applied === undefined || !caches.agents.hasSynced) return undefined;
    const { changed: usageChanged, againMs } = await this.#usage.look(this.#counted, caches.agent?.status);
    const usersOf = this.#containers.read();
    const useChanged = this.#judgeUse(usersOf);
    const answers = this.#answer(usersOf);
    return {
      changed: usageChanged || useChanged || answers.changed,
      againMs: answers.open ? Math.min(againMs, waitingMs) : againMs,
    };
  }

  /**
   * Adds the networks that are being deleted to the facts that a container's networks follow from. The container counts as
   * their user until `answered` is called.
   */
  known(known: Known | string, ask: Ask): Known | string {
    if (typeof known === 'string') return known;
    this.#joining.asked(ask, known.snapshot);
    const closing = new Map<string, string>();
    const open: string[] = [];
    const isClosing = known.snapshot.networks.some(
      ({ metadata }) => metadata.deletionTimestamp !== undefined,
    );
    if (!isClosing) return known;
    const usersOf = this.#containers.read();
    for (const { metadata, spec } of known.snapshot.networks) {
      const { name } = metadata;
      if (metadata.deletionTimestamp === undefined) continue;
      if (spec.deletionPolicy === 'Drain') closing.set(name, 'spec.deletionPolicy is Drain');
      // the agent has reported, or is about to report, that no container uses it here: that must stay true
      else if (usersOf(name).length === 0) closing.set(name, 'no pod on this node uses it any more');
      else open.push(name);
    }
    if (open.length > 0)
      this.#containers.promise(
        open.map((name) => ({ name })),
        ask,
      );
    return closing.size === 0 ? known : { ...known, closing };
  }

  /**
   * Notes that the plugin has its answer.
   * @returns when to count, in milliseconds; undefined if no count is needed
   */
  answered(ask: Ask, choice: Choice): number | undefined {
    this.#joining.answered(ask);
    if (!('networks' in choice)) {
      this.#containers.forget(ask);
      return undefined;
    }
    const joined = choice.networks.map(({ name, ranges }) => ({
      name,
      ranges: ranges.map(({ subnet }) => subnet),
    }));
    this.#containers.promise(joined, ask);
    return joined.every(({ name }) => this.#inUse?.has(name)) ? undefined : soonMs;
  }

  get #counted(): Counted {
    const { snapshot, held } = this.#parts.pass;
    return { allocated: held?.networks ?? [], networks: snapshot?.networks ?? [] };
  }

  /**
   * Judges which networks are in use.
   * @returns whether that changed
   */
  #judgeUse(usersOf: UsersOf): boolean {
    const stored = this.#parts.caches.agent?.status?.networks ?? [];
    const now = performance.now();
    const before =
      this.#inUse ?? new Set(stored.flatMap(({ name, inUse }) => (inUse === true ? [name] : [])));
    if (this.#inUse === undefined) for (const name of before) this.#seen.set(name, now);
    const dockers = this.#usage.endpoints ?? [];
    this.#parts.onContainers?.(
      new Map(
        [...this.#usage.last.keys()].map((name) => [
          name,
          { CNI: usersOf(name).length, Docker: dockers.filter(({ network }) => network === name).length },
        ]),
      ),
    );
    for (const [name, parts] of this.#usage.last) {
      if (parts.some(({ used }) => used > 0) || usersOf(name).length > 0) this.#seen.set(name, now);
    }
    for (const [name, at] of this.#seen) if (at + restMs < now) this.#seen.delete(name);
    this.#inUse = new Set(this.#seen.keys());
    return [...this.#inUse].sort().join() !== [...before].sort().join();
  }

  /**
   * Answers for networks that are being deleted and for draining subnets.
   * @returns whether an answer changed, and whether an answer still has to change
   */
  #answer(usersOf: UsersOf): { changed: boolean; open: boolean } {
    const { caches, pass, docker } = this.#parts;
    const { snapshot, held } = pass;
    const joining = this.#joining.mayDifferFrom(snapshot);
    let kept: boolean | undefined;
    // the operator removes what nothing uses: an agent that restarts must not let a container join it
    const isFinal = () => !joining && (kept ??= this.#parts.record());
    const dockers = (network: string, block?: string) =>
      docker !== undefined && docker.blocks === undefined ? undefined : this.#dockers(network, block);
    const networks = caches.networks.list();
    const counting = { snapshot, usersOf, docker: dockers, isFinal };
    const stored = this.#stored.bind(this);
    const { staleAfter = '' } = caches.configs.get('default')?.spec ?? {};
    const renewMs = (parseDuration(staleAfter) ?? defaultStaleAfterMs) / 3;
    const users = deletionAnswers({ ...counting, networks, stored, renewMs }, this.#users);
    const draining = drainAnswers({ ...counting, allocated: held?.networks ?? [] }, this.#draining);
    const changed = users !== this.#users || draining !== this.#draining;
    this.#users = users;
    this.#draining = draining;
    const waits = networks.some(({ metadata }) => isWaiting(metadata));
    return { changed, open: waits || joining || kept === false || isDraining(draining) };
  }

  #stored(name: string): NetworkUsers | undefined {
    return this.#parts.caches.agent?.status?.networks?.find((network) => network.name === name)?.users;
  }

  /** Docker's containers on a network. While Docker's network exists, a container may start on it. */
  #dockers(name: string, block?: string): NetworkUser[] {
    const { docker } = this.#parts;
    const blocks = docker?.blocks?.find((network) => network.name === name)?.subnets;
    if (docker === undefined || blocks === undefined || (block !== undefined && !blocks.includes(block)))
      return [];
    const here = this.#usage.endpoints?.filter(({ network }) => network === name) ?? [];
    if (here.length === 0)
      return [{ container: printable(`Docker network ${name}: ${docker.finding.message}`) }];
    return here.map(({ container, addresses: [address] }) => ({
      container: printable(container),
      ...(address === undefined ? {} : { address }),
    }));
  }
}

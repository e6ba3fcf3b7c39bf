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
import { mostNamed, printable, Users, type UsersOf } from './users.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import type { Docker } from '../docker/docker.ts';
import { drainAnswers, isDraining, type DrainAnswers } from './drain.ts';
import { recordFile } from '../containers/attachments.ts';
import type { Informer } from '../kube/informer.ts';
import { UsageCounter, type Counted } from './counter.ts';

/** How soon after a container it is counted, and how often while a network waits for its last ones. */
const soonMs = 1_000;
const waitingMs = 2_000;

/** A network counts as used so long after its last container: containers that come and go are no news each. */
const restMs = 60_000;

/** The plugin does not wait for an answer any longer. */
const askedMs = 10_000;

interface Parts {
  stateDir: string;
  leaseDir: string;
  links: (() => ReadonlySet<string>) | undefined;
  docker: Pick<Docker, 'endpoints' | 'blocks' | 'finding'> | undefined;
  caches: {
    agents: Pick<Informer<OverlayAgent>, 'hasSynced'>;
    /** This node's own. */
    agent: OverlayAgent | undefined;
    networks: Pick<Informer<OverlayNetwork>, 'list'>;
    configs: Pick<Informer<OverlayConfig>, 'get'>;
  };
  /** The last pass over the kernel. */
  pass: {
    snapshot: Snapshot | undefined;
    /** This node's part of the snapshot. */
    held: AgentAllocationSpec | undefined;
    /** Undefined before the first pass has ended. */
    applied: unknown;
  };
  /** Told of each count of addresses. */
  onCount: (usage: NodeUsage) => void;
  /**
   * Puts on disk what containers are told to join by, for an agent that starts without the API server.
   * @returns whether it is there
   */
  record: () => boolean;
  /** When this agent started, by the monotonic clock; now, unless told. */
  startedAt?: number;
  /** Told of each count of containers, by network. */
  onContainers?: (counts: ReadonlyMap<string, { CNI: number; Docker: number }>) => void;
}

/** What of its use an agent's status says of each network. */
export interface SaidUse {
  /** Undefined before the first count. */
  usage: NodeUsage | undefined;
  /** Undefined before the first count. */
  inUse: ReadonlySet<string> | undefined;
  users: ReadonlyMap<string, NetworkUsers>;
  draining: DrainAnswers;
}

/** Which containers use the networks of this node, and how full its blocks are. */
export class Use {
  readonly #parts: Parts;
  readonly #usage: UsageCounter;
  readonly #users: Users;
  /** By network: when a container was last seen to use it. */
  readonly #seen = new Map<string, number>();
  #inUse: ReadonlySet<string> | undefined;
  #said: ReadonlyMap<string, NetworkUsers> = new Map();
  #draining: DrainAnswers = new Map();
  /** Containers that are about to be told what to join, and by what. */
  readonly #asking = new Map<string, { by: Known['snapshot']; at: number }>();
  readonly #startedAt: number;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { stateDir, leaseDir, links, docker, onCount, startedAt = performance.now() } = parts;
    this.#startedAt = startedAt;
    this.#usage = new UsageCounter({ leaseDir, docker, onCount });
    this.#users = new Users({ stateDir, links });
  }

  get said(): SaidUse {
    return { usage: this.#usage.said, inUse: this.#inUse, users: this.#said, draining: this.#draining };
  }

  /** How full this node's networks are, in words. */
  get text(): string {
    return this.#usage.text(this.#counted);
  }

  /** Counts. @returns whether the status changes, and when to count again; undefined before the first pass */
  async look(): Promise<{ news: boolean; againMs: number } | undefined> {
    const { pass, caches } = this.#parts;
    if (pass.applied === undefined || !caches.agents.hasSynced) return undefined;
    const { news, againMs } = await this.#usage.look(this.#counted, caches.agent?.status);
    const usersOf = this.#users.read();
    const changed = this.#judgeUse(usersOf);
    const waiting = this.#judgeUsers(usersOf);
    const draining = this.#judgeDraining(usersOf);
    return {
      news: news || changed || waiting.news || draining.news,
      againMs: waiting.any || draining.any ? Math.min(againMs, waitingMs) : againMs,
    };
  }

  /** What a container's networks follow from, with those that somebody deletes. It counts as theirs until it is `answered`. */
  known(known: Known | string, ask: Ask): Known | string {
    if (typeof known === 'string') return known;
    this.#asking.set(recordFile(ask), { by: known.snapshot, at: performance.now() });
    const closing = new Map<string, string>();
    const open: string[] = [];
    const isClosing = known.snapshot.networks.some(
      ({ metadata }) => metadata.deletionTimestamp !== undefined,
    );
    if (!isClosing) return known;
    const usersOf = this.#users.read();
    for (const { metadata, spec } of known.snapshot.networks) {
      const { name } = metadata;
      if (metadata.deletionTimestamp === undefined) continue;
      if (spec.deletionPolicy === 'Drain') closing.set(name, 'spec.deletionPolicy is Drain');
      // the agent has reported, or is about to report, that no container uses it here: that must stay true
      else if (usersOf(name).length === 0) closing.set(name, 'no pod on this node uses it any more');
      else open.push(name);
    }
    if (open.length > 0)
      this.#users.promise(
        open.map((name) => ({ name })),
        ask,
      );
    return closing.size === 0 ? known : { ...known, closing };
  }

  /** The plugin has its answer. @returns when to count, in milliseconds; undefined: nothing follows */
  answered(ask: Ask, choice: Choice): number | undefined {
    this.#asking.delete(recordFile(ask));
    if (!('networks' in choice)) {
      this.#users.forget(ask);
      return undefined;
    }
    const joined = choice.networks.map(({ name, ranges }) => ({
      name,
      ranges: ranges.map(({ subnet }) => subnet),
    }));
    this.#users.promise(joined, ask);
    return joined.every(({ name }) => this.#inUse?.has(name)) ? undefined : soonMs;
  }

  get #counted(): Counted {
    const { snapshot, held } = this.#parts.pass;
    return { allocated: held?.networks ?? [], networks: snapshot?.networks ?? [] };
  }

  /** @returns whether it is another */
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

  /** The answer to each deletion of a network. @returns whether one is another, and whether any still has to change */
  #judgeUsers(usersOf: UsersOf): { news: boolean; any: boolean } {
    const { caches, pass, docker } = this.#parts;
    const before = this.#said;
    const applied = new Map(
      (pass.snapshot?.networks ?? []).map(({ metadata }) => [metadata.name, metadata.deletionTimestamp]),
    );
    const next = new Map<string, NetworkUsers>();
    let any = false;
    for (const { metadata } of caches.networks.list()) {
      const { name, deletionTimestamp: deletion = '' } = metadata;
      if (!isWaiting(metadata)) continue;
      any = true;
      const last = before.get(name) ?? this.#stored(name);
      // once a pass has seen the deletion, no container joins a network without containers
      if (applied.has(name) && applied.get(name) !== deletion) continue;
      // an engine that has not answered yet may have the network
      if (docker !== undefined && docker.blocks === undefined) {
        if (last !== undefined) next.set(name, last);
        continue;
      }
      next.set(name, this.#answer(name, deletion, last, usersOf));
    }
    this.#said = next;
    const text = (said: typeof next | typeof before) => JSON.stringify([...said]);
    return { news: text(next) !== text(before), any };
  }

  #judgeDraining(usersOf: UsersOf): { news: boolean; any: boolean } {
    const { pass, docker } = this.#parts;
    const { snapshot, held } = pass;
    const now = performance.now();
    for (const [key, { at }] of this.#asking) if (at + askedMs < now) this.#asking.delete(key);
    const before = this.#draining;
    // the agent before this one may have told a container what to join, whose record is not there yet
    const isNew = now < this.#startedAt + askedMs;
    const asking = isNew || [...this.#asking.values()].some(({ by }) => by !== snapshot);
    const next = drainAnswers(
      {
        snapshot,
        allocated: held?.networks ?? [],
        usersOf,
        docker: (network, block) =>
          docker !== undefined && docker.blocks === undefined ? undefined : this.#dockers(network, block),
        asking,
      },
      before,
    );
    // the operator takes an entry away by this answer: an agent that starts again must give no address of it, either
    const isKept = next === before || this.#parts.record();
    if (isKept) this.#draining = next;
    return { news: this.#draining !== before, any: asking || !isKept || isDraining(this.#draining) };
  }

  #answer(name: string, deletion: string, before: NetworkUsers | undefined, usersOf: UsersOf): NetworkUsers {
    const users = [...usersOf(name), ...this.#dockers(name)];
    const now = Date.now();
    const said: NetworkUsers = {
      deletion,
      at: new Date(now).toISOString(),
      count: users.length,
      ...(users.length === 0 ? {} : { named: users.slice(0, mostNamed) }),
    };
    const old = before?.deletion === deletion ? before : undefined;
    if (
      old === undefined ||
      JSON.stringify([old.count, old.named]) !== JSON.stringify([said.count, said.named])
    )
      return said;
    // one that is silent is waited for only so long
    const { staleAfter = '' } = this.#parts.caches.configs.get('default')?.spec ?? {};
    const renewMs = (parseDuration(staleAfter) ?? defaultStaleAfterMs) / 3;
    return old.count > 0 && now - Date.parse(old.at) >= renewMs ? said : old;
  }

  #stored(name: string): NetworkUsers | undefined {
    return this.#parts.caches.agent?.status?.networks?.find((network) => network.name === name)?.users;
  }

  /** As long as Docker's network is there, a container may start on it. */
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

import type { Finding } from '../api/conditions.ts';
import type { Blocks, Snapshot } from '../dataplane/snapshot.ts';
import type { Failure } from '../dataplane/state.ts';
import { linkNames } from '../linux/links.ts';
import type { Log } from '../log.ts';
import { dockerBridge } from '../net/name.ts';
import { outdated, planNetworks, type NetworkPlan, type Step, type Users } from './diff.ts';
import { engineAt, type Endpoint, type Engine } from './engine.ts';
import { EngineError, NoEngine } from './socket.ts';
import { blocksByName, isOurs, wantedNetworks, type DockerNetwork, type WantedNetwork } from './networks.ts';
import { watchEngine } from './watch.ts';

export interface DockerOutcome {
  /** Networks were made, so the engine put its own iptables rules ahead of others. */
  made: boolean;
  /** What failed and is to be retried. Errors of the engine are also in `failures` and `finding`. */
  error?: Error;
}

/** Called for each network that the engine was asked to create or remove. */
type OnOperation = (operation: Step['kind'], done: boolean) => void;

interface Options {
  record?: () => void;
  closed?: ReadonlyMap<string, string>;
}

/** Keeps a Docker network for every overlay in which the node holds a Docker half, if the node has an engine. */
export class Docker {
  readonly #engine: Engine;
  readonly #links: () => ReadonlySet<string>;
  readonly #log: Log;
  readonly #onOperation: OnOperation;
  /**
   * Why the running engine does not belong to this node; known once it made a network whose bridge did not appear
   * here.
   */
  #elsewhere: string | undefined;
  #made = false;
  #failures: readonly Failure[] = [];
  #finding: Omit<Finding, 'type'>;
  #blocks: Blocks | undefined;
  #pools: readonly string[] = [];
  #endpoints: readonly Endpoint[] | undefined;

  /**
   * @param options.links gives the names of the node's links; by default those of this process's network namespace
   */
  constructor(options: {
    engine: Engine;
    links?: () => ReadonlySet<string>;
    log: Log;
    onOperation?: OnOperation;
  }) {
    this.#onOperation = options.onOperation ?? (() => undefined);
    this.#engine = options.engine;
    this.#links = options.links ?? linkNames;
    this.#log = options.log;
    this.#finding = { status: 'Unknown', reason: 'Waiting', message: 'not asked yet' };
  }

  /** Why networks differ from their Docker halves, including networks that should be gone. */
  get failures(): readonly Failure[] {
    return this.#failures;
  }

  get finding(): Finding {
    return { type: 'Docker', ...this.#finding };
  }

  /**
   * Blocks that the engine's networks lie in, wanted or not. The node has not given a block back while containers may
   * hold its addresses. While the engine is away these are the last known blocks; undefined until something is known.
   */
  get blocks(): Blocks | undefined {
    return this.#blocks;
  }

  /** The address pools from which the engine takes subnets for networks that name none, as of the last answer. */
  get pools(): readonly string[] {
    return this.#pools;
  }

  /**
   * Running containers' addresses in networks of ours. If the engine does not answer, its last answer stays; undefined:
   * there was no answer yet, although the engine may have such networks.
   */
  async endpoints(): Promise<readonly Endpoint[] | undefined> {
    try {
      const names = new Set((this.#blocks ?? []).map(({ name }) => name));
      const all = await this.#engine.endpoints();
      this.#endpoints = all.filter(({ network }) => names.has(network));
    } catch (error) {
      if (error instanceof NoEngine && (this.#blocks ?? []).length === 0) this.#endpoints = [];
      else if (!(error instanceof NoEngine || error instanceof EngineError)) throw error;
    }
    return this.#endpoints;
  }

  /**
   * @param onChange called when `reconcile` may now act differently; `restarted` means that an engine came or went
   */
  watch(onChange: (restarted: boolean) => void): { stop: () => void } {
    const changed = (restarted: boolean) => {
      if (restarted) this.#elsewhere = undefined;
      onChange(restarted);
    };
    return watchEngine(this.#engine, changed, this.#log);
  }

  /**
   * Makes the engine's networks what they should be. Only one run may be under way at a time.
   * @param snapshot its `docker` holds the blocks of an engine that has not answered since this process began
   * @param options.record called before networks are made; `blocks` includes theirs by then
   * @param options.closed networks that accept no new containers, so they are not made now
   */
  async reconcile(
    snapshot: Snapshot,
    { record = () => undefined, closed = new Map() }: Options = {},
  ): Promise<DockerOutcome> {
    this.#made = false;
    try {
      await this.#reconcile(snapshot, { record, closed });
    } catch (error) {
      if (!(error instanceof NoEngine)) {
        if (error instanceof EngineError) {
          this.#finding = { status: 'False', reason: 'Failed', message: `Docker: ${error.message}` };
        }
        return { made: this.#made, error: error as Error };
      }
      this.#away(error);
    }
    return { made: this.#made };
  }

  /**
   * Removes all our networks except those that containers use.
   * @param options.dry removes nothing: `removed` is what would go
   */
  async cleanup(options: { dry?: boolean } = {}): Promise<{ removed: string[]; failures: Failure[] }> {
    try {
      const plan = await this.#plan([], await this.#engine.networks());
      const failed = options.dry === true ? [] : await this.#execute(plan.steps);
      const failures = [...plan.blocked, ...failed];
      const kept = new Set(failures.map(({ network }) => network));
      const removed = plan.steps.filter(({ network }) => !kept.has(network)).map(({ network }) => network);
      return { removed, failures };
    } catch (error) {
      if (error instanceof NoEngine) return { removed: [], failures: [] };
      if (!(error instanceof EngineError)) throw error;
      return { removed: [], failures: [{ message: `Docker: ${error.message}` }] };
    }
  }

  async #reconcile(snapshot: Snapshot, { record, closed }: Required<Options>): Promise<void> {
    this.#blocks ??= snapshot.docker;
    const { minor, unsupported, version, pools } = await this.#engine.facts();
    this.#pools = pools;
    const going = new Set(
      snapshot.networks.flatMap(({ metadata }) =>
        metadata.deletionTimestamp === undefined ? [] : [metadata.name],
      ),
    );
    // a network that is being deleted is removed with its last container, so that no other can join
    const wanted = wantedNetworks(snapshot, minor)
      .filter(({ name }) => !going.has(name))
      .map((want) => (closed.has(want.name) ? { ...want, draining: true } : want));
    const networks = await this.#engine.networks();
    this.#blocks = blocksByName(networks);
    const unfit = () => unsupported ?? this.#elsewhere;
    if (unfit() === undefined) await this.#apply(wanted, networks, version, { record, going });
    const why = unfit();
    if (why === undefined) return;
    const message = `Docker: overlaynet does not work with this engine (${version}): ${why}`;
    this.#failures = wanted.map(({ name }) => ({ network: name, message }));
    this.#finding = { status: 'False', reason: 'Unsupported', message };
  }

  async #apply(
    wanted: readonly WantedNetwork[],
    networks: readonly DockerNetwork[],
    version: string,
    { record, going }: { record: () => void; going: ReadonlySet<string> },
  ): Promise<void> {
    const planned = await this.#plan(wanted, networks);
    const blocked = planned.blocked.filter(({ network }) => network === undefined || !going.has(network));
    const plan = { ...planned, blocked };
    const coming = plan.steps.flatMap((step) => (step.kind === 'create' ? [step.shape] : []));
    this.#blocks = blocksByName([...networks, ...coming]);
    if (coming.length > 0) record();
    const failed = await this.#execute(plan.steps);
    const now = plan.steps.length > 0 ? await this.#engine.networks() : networks;
    this.#blocks = blocksByName(now);
    if (this.#elsewhere !== undefined) return;
    this.#failures = [...plan.failures, ...failed, ...plan.blocked];
    this.#finding = this.#verdict(version, plan, failed, now);
    if (failed.length > 0) throw new Error(failed.map(({ message }) => message).join('; '));
  }

  #away({ message, stopped }: NoEngine): void {
    this.#elsewhere = undefined;
    // if there is no socket and no blocks were known before, no network was ever made
    if (!stopped) this.#blocks ??= [];
    const kept = (this.#blocks ?? []).map(({ name }) => name).join(', ');
    const text =
      kept === '' ? message : `${message}; until one answers, the node keeps the blocks of ${kept}`;
    this.#failures = [];
    this.#finding = { status: 'True', reason: 'NoEngine', message: text };
  }

  #verdict(
    version: string,
    plan: NetworkPlan,
    failed: readonly Failure[],
    networks: readonly DockerNetwork[],
  ): Omit<Finding, 'type'> {
    const failures = [...plan.failures, ...failed];
    const textOf = (list: readonly Failure[]) => list.map(({ message }) => message).join('; ');
    if (failures.length > 0) return { status: 'False', reason: 'Failed', message: textOf(failures) };
    if (plan.blocked.length > 0) return { status: 'False', reason: 'Blocked', message: textOf(plan.blocked) };
    const names = networks.filter(isOurs).map(({ Name }) => Name);
    const message = `Docker ${version} has ${names.toSorted().join(', ') || 'no network of ours'}`;
    return { status: 'True', reason: 'Applied', message };
  }

  async #plan(wanted: readonly WantedNetwork[], networks: readonly DockerNetwork[]): Promise<NetworkPlan> {
    const links = this.#links();
    const users = new Map<string, Users>();
    for (const { Id } of outdated(wanted, networks, links)) users.set(Id, await this.#engine.users(Id));
    return planNetworks(wanted, networks, links, users);
  }

  /** Executes the steps. A step that fails does not stop the others. */
  async #execute(steps: readonly Step[]): Promise<Failure[]> {
    const failed = new Map<string, Failure>();
    for (const step of steps) {
      const { network } = step;
      // a network cannot be made while the one that it replaces is still there
      if (failed.has(network) || this.#elsewhere !== undefined) continue;
      try {
        if (step.kind === 'create') await this.#create(step);
        else {
          await this.#engine.remove(step.id);
          this.#log.info('Docker network removed', { network });
        }
        this.#onOperation(step.kind, true);
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        this.#onOperation(step.kind, false);
        failed.set(network, { network, message: `Docker: ${error.message}` });
      }
    }
    return [...failed.values()];
  }

  /**
   * Makes a network. If its bridge does not appear, the engine belongs to another node, and the network is removed
   * again.
   */
  async #create({ network, shape }: Extract<Step, { kind: 'create' }>): Promise<void> {
    await this.#engine.create(shape);
    const bridge = dockerBridge(network);
    if (this.#links().has(bridge)) {
      this.#made = true;
      this.#log.info('Docker network made', { network });
      return;
    }
    this.#elsewhere = `it is in another network namespace or machine: it made no link ${bridge} here`;
    const made = (await this.#engine.networks()).find((one) => one.Name === network && isOurs(one));
    if (made !== undefined) await this.#engine.remove(made.Id);
  }
}

/**
 * The Docker part of the agent.
 * @param socket the engine's socket; undefined or empty means that no engine is used
 */
export function dockerAt(
  socket: string | undefined,
  log: Log,
  onOperation?: OnOperation,
): Docker | undefined {
  const engine = engineAt(socket);
  return engine && new Docker({ engine, log, ...(onOperation && { onOperation }) });
}

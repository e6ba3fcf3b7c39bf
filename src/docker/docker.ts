import type { Finding } from '../api/conditions.ts';
import type { Blocks, Snapshot } from '../dataplane/snapshot.ts';
import type { Failure } from '../dataplane/state.ts';
import { linkNames } from '../linux/links.ts';
import type { Log } from '../log.ts';
import { dockerBridge } from '../net/name.ts';
import { outdated, planNetworks, type Plan, type Step, type Users } from './diff.ts';
import { engineAt, EngineError, NoEngine, type Engine } from './engine.ts';
import {
  blocksOf,
  isOurs,
  wantedNetworks,
  type DockerNetwork,
  type NetworkShape,
  type WantedNetwork,
} from './networks.ts';
import { watchEngine } from './watch.ts';

export interface Outcome {
  /** Networks were made: the engine then put rules of its own ahead of others. */
  made: boolean;
  /** What failed, to be tried again; of the engine's, the same is in `failures` and `finding`. */
  error?: Error;
}

interface Options {
  record?: () => void;
  closed?: ReadonlyMap<string, string>;
}

/** Keeps a Docker network for every overlay of which the node holds a Docker half, where there is an engine. */
export class Docker {
  readonly #engine: Engine;
  readonly #links: () => ReadonlySet<string>;
  readonly #log: Log;
  /** Why the engine that runs now is not this node's, as a network showed that it made. */
  #elsewhere: string | undefined;
  #made = false;
  #failures: readonly Failure[] = [];
  #finding: Omit<Finding, 'type'>;
  #blocks: Blocks | undefined;
  #pools: readonly string[] = [];

  /** @param options.links names of the node's links now; by default those of this process's network namespace */
  constructor(options: { engine: Engine; links?: () => ReadonlySet<string>; log: Log }) {
    this.#engine = options.engine;
    this.#links = options.links ?? linkNames;
    this.#log = options.log;
    this.#finding = { status: 'Unknown', reason: 'Waiting', message: 'not asked yet' };
  }

  /** What stands between a network and its Docker half; of networks that should be gone as well. */
  get failures(): readonly Failure[] {
    return this.#failures;
  }

  get finding(): Finding {
    return { type: 'Docker', ...this.#finding };
  }

  /**
   * Blocks that networks of the engine lie in, wanted ones or not: as long as containers hold addresses of a block,
   * the node has not given it back. The last known while the engine is away; undefined while nothing is known.
   */
  get blocks(): Blocks | undefined {
    return this.#blocks;
  }

  /** From which the engine, as it was last asked, takes networks that name no subnet. */
  get pools(): readonly string[] {
    return this.#pools;
  }

  /** @param onChange what `reconcile` does may be different now; `restarted`: an engine came, or went */
  watch(onChange: (restarted: boolean) => void): { stop: () => void } {
    const changed = (restarted: boolean) => {
      if (restarted) this.#elsewhere = undefined;
      onChange(restarted);
    };
    return watchEngine(this.#engine, changed, this.#log);
  }

  /**
   * One run at a time.
   * @param snapshot its `docker` is what an engine had that has not answered since this process began
   * @param options.record called before networks are made, when `blocks` has theirs already
   * @param options.closed networks that take no new containers, and so are not made now
   */
  async reconcile(
    snapshot: Snapshot,
    { record = () => undefined, closed = new Map() }: Options = {},
  ): Promise<Outcome> {
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

  /** Removes every network of ours, those apart that containers use. */
  async cleanup(): Promise<{ removed: string[]; failures: Failure[] }> {
    try {
      const plan = await this.#plan([], await this.#engine.networks());
      const failures = [...plan.blocked, ...(await this.#execute(plan.steps))];
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
    const wanted = wantedNetworks(snapshot, minor).map((want) =>
      closed.has(want.name) ? { ...want, draining: true } : want,
    );
    const networks = await this.#engine.networks();
    this.#blocks = blocks(networks);
    const unfit = () => unsupported ?? this.#elsewhere;
    if (unfit() === undefined) await this.#apply(wanted, networks, version, record);
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
    record: () => void,
  ): Promise<void> {
    const plan = await this.#plan(wanted, networks);
    const coming = plan.steps.flatMap((step) => (step.kind === 'create' ? [step.shape] : []));
    this.#blocks = blocks([...networks, ...coming]);
    if (coming.length > 0) record();
    const failed = await this.#execute(plan.steps);
    const now = plan.steps.length > 0 ? await this.#engine.networks() : networks;
    this.#blocks = blocks(now);
    if (this.#elsewhere !== undefined) return;
    this.#failures = [...plan.failures, ...failed, ...plan.blocked];
    this.#finding = this.#verdict(version, plan, failed, now);
    if (failed.length > 0) throw new Error(failed.map(({ message }) => message).join('; '));
  }

  #away({ message, stopped }: NoEngine): void {
    this.#elsewhere = undefined;
    // where there is no socket, and none was known before, nothing was ever made
    if (!stopped) this.#blocks ??= [];
    const kept = (this.#blocks ?? []).map(({ name }) => name).join(', ');
    const text =
      kept === '' ? message : `${message}; until one answers, the node keeps the blocks of ${kept}`;
    this.#failures = [];
    this.#finding = { status: 'True', reason: 'NoEngine', message: text };
  }

  #verdict(
    version: string,
    plan: Plan,
    failed: readonly Failure[],
    networks: readonly DockerNetwork[],
  ): Omit<Finding, 'type'> {
    const failures = [...plan.failures, ...failed];
    const say = (list: readonly Failure[]) => list.map(({ message }) => message).join('; ');
    if (failures.length > 0) return { status: 'False', reason: 'Failed', message: say(failures) };
    if (plan.blocked.length > 0) return { status: 'False', reason: 'Blocked', message: say(plan.blocked) };
    const names = networks.filter(isOurs).map(({ Name }) => Name);
    const message = `Docker ${version} has ${names.toSorted().join(', ') || 'no network of ours'}`;
    return { status: 'True', reason: 'Applied', message };
  }

  async #plan(wanted: readonly WantedNetwork[], networks: readonly DockerNetwork[]): Promise<Plan> {
    const links = this.#links();
    const users = new Map<string, Users>();
    for (const { Id } of outdated(wanted, networks, links)) users.set(Id, await this.#engine.users(Id));
    return planNetworks(wanted, networks, links, users);
  }

  /** What failed does not stop the rest. */
  async #execute(steps: readonly Step[]): Promise<Failure[]> {
    const failed = new Map<string, Failure>();
    for (const step of steps) {
      const { network } = step;
      // it cannot come while what it is to replace is there
      if (failed.has(network) || this.#elsewhere !== undefined) continue;
      try {
        if (step.kind === 'create') await this.#create(step);
        else {
          await this.#engine.remove(step.id);
          this.#log.info('Docker network removed', { network });
        }
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        failed.set(network, { network, message: `Docker: ${error.message}` });
      }
    }
    return [...failed.values()];
  }

  /** Tells by the bridge whether the engine is this node's; if not, the network goes again. */
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

/** @param socket of the engine; undefined or empty: there is to be none */
export function dockerAt(socket: string | undefined, log: Log): Docker | undefined {
  const engine = engineAt(socket);
  return engine && new Docker({ engine, log });
}

/** By name; an engine may list them in any order, and a network twice: what is there and what is to come. */
function blocks(networks: readonly NetworkShape[]): Blocks {
  const all = new Map<string, Set<string>>();
  for (const network of networks.filter(isOurs)) {
    all.set(network.Name, new Set([...(all.get(network.Name) ?? []), ...blocksOf(network)]));
  }
  return [...all]
    .map(([name, subnets]) => ({ name, subnets: [...subnets] }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

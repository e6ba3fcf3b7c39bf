import type { Finding } from '../api/conditions.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import type { Failure } from '../dataplane/state.ts';
import { run, type Run } from '../linux/run.ts';
import type { Log } from '../log.ts';
import { outdated, planNetworks, type Plan, type Step, type Users } from './diff.ts';
import { Engine, EngineError, NoEngine, type EngineFacts } from './engine.ts';
import {
  blocksOf,
  bridgeOf,
  isOurs,
  wantedNetworks,
  type DockerNetwork,
  type WantedNetwork,
} from './networks.ts';
import { watchEngine } from './watch.ts';

/** Blocks of this node, by network. */
export type Blocks = { name: string; subnets: string[] }[];

/** Keeps a Docker network for every overlay of which the node holds a Docker half, where there is an engine. */
export class Docker {
  readonly #engine: Engine;
  readonly #run: Run;
  readonly #log: Log;
  #facts: EngineFacts | undefined;
  #failures: Failure[] = [];
  #finding: Omit<Finding, 'type'>;
  #blocks: Blocks | undefined;

  constructor(options: { engine: Engine; run: Run; log: Log }) {
    this.#engine = options.engine;
    this.#run = options.run;
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
   * the node has not given it back. Undefined while the engine was never asked; the last known while it is away.
   */
  get blocks(): Blocks | undefined {
    return this.#blocks;
  }

  /** @param onChange what `reconcile` does may be different now; `restarted`: an engine came, or went */
  watch(onChange: (restarted: boolean) => void): { stop: () => void } {
    const changed = (restarted: boolean) => {
      if (restarted) this.#facts = undefined;
      onChange(restarted);
    };
    return watchEngine(this.#engine, changed, this.#log);
  }

  /**
   * One run at a time.
   * @returns whether networks were made: the engine then put rules of its own ahead of others
   * @throws Error with what failed, for the queue to try again; the same is in `failures` and `finding`
   */
  async reconcile(snapshot: Snapshot): Promise<boolean> {
    try {
      return await this.#reconcile(snapshot);
    } catch (error) {
      this.#facts = undefined;
      if (error instanceof NoEngine) {
        if (!error.stopped) this.#blocks ??= [];
        this.#failures = [];
        this.#finding = { status: 'True', reason: 'NoEngine', message: error.message };
        return false;
      }
      if (error instanceof EngineError) {
        this.#finding = { status: 'False', reason: 'Failed', message: `Docker: ${error.message}` };
      }
      throw error;
    }
  }

  /** Removes every network of ours, those apart that containers use. */
  async cleanup(): Promise<{ removed: string[]; failures: Failure[] }> {
    try {
      await this.#engine.facts();
      const { plan } = await this.#plan([]);
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

  async #reconcile(snapshot: Snapshot): Promise<boolean> {
    const { minor, unsupported, version } = (this.#facts ??= await this.#engine.facts());
    const wanted = wantedNetworks(snapshot, minor);
    if (unsupported !== undefined) {
      const message = `Docker: overlaynet does not work with this engine (${version}): ${unsupported}`;
      this.#blocks = blocks(await this.#engine.networks());
      this.#failures = wanted.map(({ name }) => ({ network: name, message }));
      this.#finding = { status: 'False', reason: 'Unsupported', message };
      return false;
    }
    const { plan, networks } = await this.#plan(wanted);
    const failed = await this.#execute(plan.steps);
    const now = plan.steps.length > 0 ? await this.#engine.networks() : networks;
    this.#blocks = blocks(now);
    this.#failures = [...plan.failures, ...failed, ...plan.blocked];
    this.#finding = this.#verdict(version, plan, failed, now);
    if (failed.length > 0) throw new Error(failed.map(({ message }) => message).join('; '));
    return plan.steps.some(({ kind }) => kind === 'create');
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

  async #plan(wanted: readonly WantedNetwork[]): Promise<{ plan: Plan; networks: DockerNetwork[] }> {
    const networks = await this.#engine.networks();
    const users = new Map<string, Users>();
    for (const { Id } of outdated(wanted, networks)) users.set(Id, await this.#engine.users(Id));
    const ours = new Set(networks.filter(isOurs).map(({ Name }) => Name));
    const links = wanted.every(({ name }) => ours.has(name)) ? new Set<string>() : await this.#links();
    return { plan: planNetworks(wanted, networks, links, users), networks };
  }

  /** What failed does not stop the rest. */
  async #execute(steps: readonly Step[]): Promise<Failure[]> {
    const failed = new Map<string, Failure>();
    for (const step of steps) {
      const { network } = step;
      // it cannot come while what it is to replace is there
      if (failed.has(network)) continue;
      try {
        if (step.kind === 'remove') await this.#engine.remove(step.id);
        else await this.#create(step);
        const done = step.kind === 'remove' ? 'removed' : 'made';
        this.#log.info(`Docker network ${done}`, { network });
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        failed.set(network, { network, message: `Docker: ${error.message}` });
      }
    }
    return [...failed.values()];
  }

  async #create({ network, shape }: Extract<Step, { kind: 'create' }>): Promise<void> {
    await this.#engine.create(shape);
    if ((await this.#links()).has(bridgeOf(network))) return;
    const made = (await this.#engine.networks()).find((one) => one.Name === network && isOurs(one));
    if (made !== undefined) await this.#engine.remove(made.Id);
    throw new EngineError(
      `it made no link ${bridgeOf(network)} here: the engine is in another network namespace or machine; its network ${network} is removed again`,
    );
  }

  /** Names of all links of this network namespace. */
  async #links(): Promise<Set<string>> {
    const { stdout, stderr, code } = await this.#run('ip', ['-j', 'link', 'show']);
    if (code !== 0) throw new Error(`ip: ${stderr.trim() || `exit status ${code}`}`);
    return new Set((JSON.parse(stdout) as { ifname: string }[]).map(({ ifname }) => ifname));
  }
}

/** @param socket of the engine; undefined or empty: there is to be none */
export const dockerAt = (socket: string | undefined, log: Log): Docker | undefined =>
  socket === undefined || socket === '' ? undefined : new Docker({ engine: new Engine(socket), run, log });

const blocks = (networks: readonly DockerNetwork[]): Blocks =>
  networks.filter(isOurs).map((network) => ({ name: network.Name, subnets: blocksOf(network) }));

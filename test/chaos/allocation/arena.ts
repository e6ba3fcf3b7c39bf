import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeObject, OverlayConfig } from '../../../src/api/types.ts';
import { overlayConfigs, type Resource } from '../../../src/kube/resources.ts';
import { startControlPlane, type OwnControlPlane } from '../../support/controlplane.ts';
import { TempDir } from '../../support/kubeprocess.ts';
import { Agents } from './agents.ts';
import { Cluster } from './cluster.ts';
import type { Dice } from './dice.ts';
import { changes } from './history.ts';
import { Judge } from './judge.ts';
import { Operators, shortLease, type LeaseTimes } from './operators.ts';

const crds = join(import.meta.dirname, '..', '..', '..', 'crds');
const namespaces: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };

/** A control plane with operators, nodes and a judge, all on ports of 127.0.0.1. It ends with this process. */
export class Arena {
  readonly plane: OwnControlPlane;
  readonly operators: Operators;
  readonly agents: Agents;
  readonly cluster: Cluster;
  readonly judge = new Judge();
  readonly #temp: TempDir;
  readonly #reading = new AbortController();
  #read: Promise<void> = Promise.resolve();
  #failure: unknown;

  private constructor(parts: {
    plane: OwnControlPlane;
    operators: Operators;
    agents: Agents;
    temp: TempDir;
  }) {
    this.plane = parts.plane;
    this.operators = parts.operators;
    this.agents = parts.agents;
    this.cluster = new Cluster(parts.plane.client, parts.agents);
    this.#temp = parts.temp;
  }

  static async start(options: {
    operators: number;
    bundle: string;
    dice: Dice;
    lease?: LeaseTimes;
    logs?: string;
  }): Promise<Arena> {
    const temp = new TempDir('ovt-chaos-');
    const plane = await startControlPlane();
    const logs = options.logs ?? temp.path;
    mkdirSync(logs, { recursive: true });
    await plane.apply(crds);
    await plane.client.create(namespaces, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'overlaynet-system' },
    });
    await plane.client.create<OverlayConfig>(overlayConfigs, {
      apiVersion: overlayConfigs.apiVersion,
      kind: overlayConfigs.kind,
      metadata: { name: 'default' },
      spec: { reuseCooldown: '1s' } as OverlayConfig['spec'],
    });
    const agents = new Agents(plane.client, options.dice.fork('agents'));
    await agents.start();
    const { operators: count, bundle, dice, lease = shortLease } = options;
    const operators = await Operators.start(plane, { count, bundle, logs, dice, lease });
    const arena = new Arena({ plane, operators, agents, temp });
    arena.#read = arena.#follow().catch((error: unknown) => {
      arena.#failure = error;
    });
    return arena;
  }

  /** @throws Error if an operator ended by itself, or the history could not be read */
  check(): void {
    this.operators.check();
    if (this.agents.refusal !== undefined)
      throw new Error(`a played agent was refused: ${this.agents.refusal}`);
    if (this.#failure !== undefined) throw new Error('cannot read the history', { cause: this.#failure });
  }

  async end(): Promise<void> {
    this.#reading.abort();
    await this.#read;
    await this.cluster.end();
    await this.operators.end();
    await this.agents.stop();
    await this.plane.stop();
    await this.#temp.remove();
  }

  /** Reads every change from etcd's first revision on. */
  async #follow(): Promise<void> {
    const { signal } = this.#reading;
    try {
      for await (const change of changes(this.plane.etcd.url, signal)) this.judge.take(change);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

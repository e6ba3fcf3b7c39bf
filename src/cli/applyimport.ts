import type {
  Condition,
  KubeObject,
  OverlayConfig,
  OverlayNetwork,
  OverlayReservation,
} from '../api/types.ts';
import { bridgesLabel } from '../api/labels.ts';
import { messageOf } from '../error.ts';
import { contradictions } from '../import/contradictions.ts';
import type { Objects } from '../import/objects.ts';
import { importName, type ImportedReservation } from '../import/reservations.ts';
import { ApiError, type Client } from '../kube/client.ts';
import {
  agentAllocations,
  nodeMetadata,
  overlayConfigs,
  overlayNetworks,
  overlayReservations,
} from '../kube/resources.ts';
import type { Access } from './access.ts';
import { CommandFailure } from './failure.ts';
import { fewAtOnce } from './few.ts';
import type { Output } from './output.ts';

/** The objects that an import writes. */
export interface Import {
  objects: Objects;
  /** One for each agent of the old cluster; absent without its state. */
  reservations?: ImportedReservation[];
  /** Nodes that get no bridges. */
  bare: readonly string[];
}

/** Longest time for which the import keeps other registrations out, in case the command is killed. */
const exclusiveMs = 3_600_000;
/** How long the command waits for the operator, in milliseconds. */
const patienceMs = 300_000;
const pollMs = 500;
/** Number of reservations that are written at once. */
const atOnce = 10;
/** Maximum number of parts that one message names. */
const mostNamed = 20;

/**
 * Writes the objects of an import. An agent that registers meanwhile must not get another one's blocks. Therefore a
 * reservation first stops all new allocations. Then the command writes the configuration, the reservations and the
 * networks, which stay disabled until the ledger has every reserved block.
 * @returns 0; 1 if something could not be reserved: the networks then stay disabled
 */
export async function applyImport(wanted: Import, access: Access, out: Output): Promise<number> {
  return access.api(async (client) => {
    try {
      return await new Applying(wanted, client, out).run();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 403) throw error;
      throw new CommandFailure(
        `you lack a right: ${error.message}`,
        'an import needs the ClusterRole admin for the whole cluster, and the right to label Nodes',
        error,
      );
    }
  });
}

class Applying {
  readonly #in: Import;
  readonly #client: Client;
  readonly #out: Output;

  constructor(wanted: Import, client: Client, out: Output) {
    this.#in = wanted;
    this.#client = client;
    this.#out = out;
  }

  async run(): Promise<number> {
    const { reservations = [] } = this.#in;
    if (reservations.length === 0) return this.#write([]);
    await this.#compare(reservations);
    const isFree = this.#out.atEnd(() => this.#letOthersIn());
    try {
      await this.#keepOthersOut();
      return await this.#write(reservations);
    } finally {
      isFree();
      await this.#letOthersIn();
    }
  }

  async #write(reservations: readonly ImportedReservation[]): Promise<number> {
    const { networks } = this.#in.objects;
    const before = await this.#client.list(overlayNetworks);
    const enabled = new Set(
      before.items.flatMap(({ metadata, spec }) => (spec.enabled ? metadata.name : [])),
    );
    await this.#config();
    await this.#reserve(reservations);
    // includes networks that an earlier import left disabled because it was killed
    await this.#networks((name) => reservations.length > 0 && !enabled.has(name));
    const refused = await this.#reserved(reservations);
    if (refused.length > 0) {
      this.#list('not kept', refused);
      this.#out.note(
        'new networks stay disabled; mend what is named (docs/reference/conditions.md#overlayreservation) and run the same command again',
      );
      return 1;
    }
    await this.#labels();
    await this.#networks(() => false);
    const many = `${networks.length} ${networks.length === 1 ? 'network is' : 'networks are'} applied`;
    this.#out.note(
      reservations.length === 0
        ? many
        : `${reservations.length} agents are reserved, ${many}: kubectl get overlayreservations`,
    );
    return 0;
  }

  /** Compares the cluster with the state. A contradiction stops the import before it writes anything. */
  async #compare(reservations: readonly ImportedReservation[]): Promise<void> {
    const [config, allocations, present] = await Promise.all([
      this.#client.get(overlayConfigs, 'default'),
      this.#client.list(agentAllocations),
      this.#client.list(overlayReservations),
    ]);
    const wrong = contradictions(reservations, this.#in.objects, {
      config,
      allocations: allocations.items,
      reservations: present.items,
    });
    if (wrong.length === 0) return;
    this.#list('refused', wrong);
    throw new CommandFailure(
      `the cluster contradicts the state in ${wrong.length} ${wrong.length === 1 ? 'thing' : 'things'}; nothing was written`,
      'import before the agents run: docs/migrating.md#keep-what-every-agent-has',
    );
  }

  #list(word: string, all: readonly string[]): void {
    for (const one of all.slice(0, mostNamed)) this.#out.note(`${word}: ${one}`);
    if (all.length > mostNamed) this.#out.note(`${word}: ${all.length - mostNamed} more`);
  }

  async #keepOthersOut(): Promise<void> {
    const expiresAt = new Date(Date.now() + exclusiveMs).toISOString();
    const { metadata } = await this.#client.apply<OverlayReservation>(overlayReservations, {
      metadata: { name: importName },
      spec: { exclusive: true, expiresAt },
    });
    const found = await this.#until('the operator to keep others out', async () => {
      const one = conditionOf(await this.#client.get(overlayReservations, importName), 'Accepted');
      return (one?.observedGeneration ?? 0) >= (metadata.generation ?? 0) ? one : undefined;
    });
    if (found.status !== 'True')
      throw new CommandFailure(
        `others cannot be kept out: ${found.message}`,
        found.reason === 'Expired'
          ? 'the operator’s clock is an hour ahead of this machine’s: set both'
          : 'mend what the message names, and run the same command again',
      );
  }

  /** Ends the stop of new allocations. If that fails, the stop ends by itself after an hour. */
  async #letOthersIn(): Promise<void> {
    try {
      await this.#client.delete(overlayReservations, importName);
    } catch (error) {
      this.#out.warn(
        `nodes get nothing new for an hour: ${messageOf(error)}; kubectl delete overlayreservation ${importName}`,
      );
    }
  }

  async #config(): Promise<void> {
    this.#out.note('the configuration …');
    const applied = await this.#client.apply<OverlayConfig>(
      overlayConfigs,
      this.#in.objects.config as unknown as OverlayConfig,
    );
    const { generation = 0 } = applied.metadata;
    const found = await this.#until('the operator to accept the OverlayConfig', async () => {
      const now = await this.#client.get(overlayConfigs, 'default');
      const one = conditionOf(now, 'Accepted');
      return (one?.observedGeneration ?? 0) >= generation ? one : undefined;
    });
    if (found.status !== 'True')
      throw new CommandFailure(
        `OverlayConfig default is not accepted: ${found.message}`,
        'mend what the message names, and run the same command again',
      );
  }

  async #reserve(reservations: readonly ImportedReservation[]): Promise<void> {
    await fewAtOnce(reservations, atOnce, async (one, at) => {
      if (at % 100 === 0) this.#out.note(`reservations: ${at} of ${reservations.length} …`);
      await this.#client.apply<OverlayReservation>(overlayReservations, one);
    });
  }

  async #networks(isDisabled: (name: string) => boolean): Promise<void> {
    for (const { apiVersion, kind, metadata, spec } of this.#in.objects.networks) {
      const enabled = spec.enabled && !isDisabled(metadata.name);
      const one = { apiVersion, kind, metadata, spec: { ...spec, enabled } };
      await this.#client.apply<OverlayNetwork>(overlayNetworks, one as unknown as OverlayNetwork);
    }
  }

  /** Waits until everything else is reserved. @returns what cannot be reserved */
  async #reserved(reservations: readonly ImportedReservation[]): Promise<string[]> {
    if (reservations.length === 0) return [];
    const names = new Set(reservations.map(({ metadata }) => metadata.name));
    let waiting: OverlayReservation | undefined;
    const look = async () => {
      const { items } = await this.#client.list(overlayReservations);
      const ours = items.filter(({ metadata }) => names.has(metadata.name));
      const refused = ours.filter((one) => conditionOf(one, 'Accepted')?.status === 'False');
      const done = ours.filter((one) => conditionOf(one, 'Reserved')?.status === 'True');
      waiting = ours.find((one) => !refused.includes(one) && !done.includes(one));
      if (ours.length < names.size || waiting !== undefined) return undefined;
      return refused.map(
        (one) => `agent ${one.spec.address ?? ''}: ${conditionOf(one, 'Accepted')?.message ?? ''}`,
      );
    };
    return this.#until('the operator to reserve everything', look, () => {
      const why = conditionOf(waiting, 'Reserved')?.message;
      return why === undefined ? '' : ` (agent ${waiting?.spec.address ?? ''}: ${why})`;
    });
  }

  async #labels(): Promise<void> {
    for (const node of this.#in.bare) {
      if ((await this.#client.get(nodeMetadata, node)) === undefined) {
        this.#out.note(
          `there is no Node ${node} yet: label it before its agent runs: kubectl label node ${node} ${bridgesLabel}=false`,
        );
        continue;
      }
      await this.#client.patch(
        nodeMetadata,
        node,
        { metadata: { labels: { [bridgesLabel]: 'false' } } },
        { type: 'merge' },
      );
      this.#out.note(`Node ${node} has no bridges (${bridgesLabel}=false), as in the old cluster`);
    }
  }

  /** @param state names the place of the state in the message after a time-out */
  async #until<T>(what: string, look: () => Promise<T | undefined>, state = () => ''): Promise<T> {
    const end = Date.now() + patienceMs;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (Date.now() > end)
        throw new CommandFailure(
          `waited five minutes in vain for ${what}${state()}`,
          'is an operator running? kubectl overlay status; then run the same command again',
        );
      await this.#out.pause(pollMs);
      // the signal that ended it ends the process
      if (this.#out.ended.aborted) await new Promise(() => undefined);
    }
  }
}

const conditionOf = (
  object: (KubeObject & { status?: { conditions?: Condition[] } }) | undefined,
  type: string,
) => object?.status?.conditions?.find((one) => one.type === type);

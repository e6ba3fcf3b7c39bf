import {
  judge,
  locate,
  parseDeletion,
  whyAlive,
  type DepartedAgent,
  type NodeRecord,
  type RefusedAgent,
} from '../allocate/deletion.ts';
import type { OverlayAgent } from '../api/types.ts';
import { json, type Posted, type Reply } from '../serve/http.ts';
import { ApiError, type Client } from '../kube/client.ts';
import { agentAllocations, nodeMetadata, overlayAgents } from '../kube/resources.ts';
import type { Log } from '../log.ts';
import type { Caches } from './caches.ts';
import { inParallel } from './parallel.ts';
import { messageOf } from '../error.ts';

/** Delay before an OverlayAgent that was written meanwhile is checked again. */
const mostTries = 3;

export interface DeletionsOptions {
  client: Client;
  caches: Pick<Caches, 'allocations' | 'agents'>;
  log: Log;
  /** Whether this operator leads. Only the leader can release, because it plans. */
  leading: () => boolean;
  /**
   * Tells the allocator that these nodes are gone for good: the API server has just said that their Nodes do not
   * exist.
   */
  released: (nodes: readonly string[]) => void;
}

/**
 * Serves `POST /overlay-master/agents/delete`, as DC/OS's master did: it releases the blocks of nodes that are gone.
 * The request confirms that they are gone for good. The allocator takes the blocks back by its own protocol.
 */
export class Deletions {
  readonly #options: DeletionsOptions;

  constructor(options: DeletionsOptions) {
    this.#options = options;
  }

  /**
   * Releases all named nodes or none: one unknown address (400) or one node that exists (405) stops everything. 503
   * where this operator does not lead, or the API server cannot be asked.
   */
  async post({ body, by }: Posted): Promise<Reply> {
    const { caches, leading } = this.#options;
    const parsed = parseDeletion(body);
    if ('error' in parsed) return json(400, parsed);
    if (!leading()) {
      const remedy = 'kubectl -n overlaynet-system get lease overlaynet-operator names the pod that leads';
      return later(`this operator does not lead: ${remedy}`);
    }
    const { addresses } = parsed;
    const located = locate(addresses, caches.allocations.list(), caches.agents.list());
    let records: Map<string, NodeRecord>;
    try {
      records = await this.#read([...new Set(located.values())]);
    } catch (error) {
      return later(`the API server could not be asked: ${messageOf(error)}`);
    }
    const { departed, unknown, alive } = judge(addresses, located, records);
    if (unknown.length > 0) return refused(400, 'unknown agents; nothing was released', unknown);
    if (alive.length > 0) return refused(405, 'agents that are alive; nothing was released', alive);
    return this.#release(departed, records, by);
  }

  /** Asks the API server itself: a cache may be behind, and other nodes may get what is released here. */
  async #read(nodes: readonly string[]): Promise<Map<string, NodeRecord>> {
    const { client } = this.#options;
    const records = new Map<string, NodeRecord>();
    await inParallel(nodes, async (node) => {
      const [object, agent, allocation] = await Promise.all([
        client.get(nodeMetadata, node),
        client.get(overlayAgents, node),
        client.get(agentAllocations, node),
      ]);
      records.set(node, {
        node,
        ...(object && { object }),
        ...(agent && { agent }),
        ...(allocation && { allocation }),
      });
    });
    return records;
  }

  async #release(
    departed: readonly DepartedAgent[],
    records: ReadonlyMap<string, NodeRecord>,
    by: string | undefined,
  ): Promise<Reply> {
    const { log, released } = this.#options;
    const done = new Set<DepartedAgent>();
    const kept: RefusedAgent[] = [];
    const failures: string[] = [];
    await inParallel(departed, async (agent) => {
      try {
        const reason = await this.#deleteAgent(agent.node, records.get(agent.node)?.agent);
        if (reason === undefined) done.add(agent);
        else kept.push({ ip: agent.ip, reason });
      } catch (error) {
        failures.push(messageOf(error));
      }
    });
    const agents = departed.filter((agent) => done.has(agent));
    const nodes = agents.map(({ node }) => node);
    // leave out nodes that came back meanwhile
    if (nodes.length > 0) released(nodes);
    log.info('agents released on request', { by, nodes });
    if (failures[0] !== undefined) return later(`not all was released: ${failures[0]}`, agents);
    if (kept.length > 0) return refused(405, 'agents that are alive', kept, agents);
    return json(200, { agents });
  }

  /** Why it was not deleted; undefined if it is gone. */
  async #deleteAgent(node: string, known: OverlayAgent | undefined): Promise<string | undefined> {
    const { client } = this.#options;
    let agent = known;
    for (let tries = 0; tries < mostTries; tries++) {
      const { uid, resourceVersion } = agent?.metadata ?? {};
      if (uid === undefined || resourceVersion === undefined) return undefined;
      try {
        await client.delete(overlayAgents, node, { uid, resourceVersion });
        return undefined;
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 409)) throw error;
      }
      const object = await client.get(nodeMetadata, node);
      if (object !== undefined) return whyAlive(node, object);
      agent = await client.get(overlayAgents, node);
    }
    return `the agent of ${node} keeps writing OverlayAgent ${node}, though its Node is gone: stop it first`;
  }
}

const refused = (
  status: number,
  error: string,
  agents: readonly RefusedAgent[],
  released: readonly DepartedAgent[] = [],
): Reply => json(status, { error, agents, ...(released.length > 0 && { released }) });

const later = (error: string, released: readonly DepartedAgent[] = []): Reply => ({
  ...json(503, { error, ...(released.length > 0 && { released }) }),
  headers: { 'retry-after': '5' },
});

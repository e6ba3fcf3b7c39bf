import { ApiError, type Client } from '../kube/client.ts';
import { nodes } from '../kube/resources.ts';
import type { Log } from '../log.ts';

/** A cloud's controllers may set the condition later than the agent clears it. */
const repeatMs = 600_000;

/**
 * Clears the condition `NetworkUnavailable` of this node's Node, which controllers of clouds set until the node has a
 * network: the scheduler keeps pods away meanwhile. It says the same each time, so that the API server writes nothing
 * where that stands already; and it reads nothing, so that the agent needs no right to.
 */
export class NetworkAvailable {
  readonly #client: Client;
  readonly #node: string;
  readonly #log: Log;
  readonly #since = new Date().toISOString().replace(/\.\d+/, '');
  #refused = '';

  constructor(options: { client: Client; node: string; log: Log }) {
    this.#client = options.client;
    this.#node = options.node;
    this.#log = options.log;
  }

  /**
   * To be called once the node's data path is complete. Returns the time in ms after which to say it again.
   * @throws Error where the API server does not answer
   */
  async say(): Promise<number> {
    const condition = {
      type: 'NetworkUnavailable',
      status: 'False',
      reason: 'OverlaynetIsUp',
      message: "overlaynet's data path on this node is complete",
      lastHeartbeatTime: this.#since,
      lastTransitionTime: this.#since,
    };
    const object = { metadata: { name: this.#node }, status: { conditions: [condition] } };
    try {
      await this.#client.apply(nodes, object, { subresource: 'status' });
      this.#refused = '';
    } catch (error) {
      if (!(error instanceof ApiError) || (error.status !== 403 && error.status !== 404)) throw error;
      // no Node yet, or rights of an older release: pods run all the same where no cloud set the condition
      if (error.message !== this.#refused) {
        this.#log.warn('the condition NetworkUnavailable of this Node cannot be cleared', { error });
      }
      this.#refused = error.message;
    }
    return repeatMs * (1 + Math.random() / 10);
  }
}

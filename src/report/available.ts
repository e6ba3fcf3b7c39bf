import { ApiError, type Client } from '../kube/client.ts';
import { nodes } from '../kube/resources.ts';
import { faultOf, type Log } from '../log.ts';

/** How often the condition is cleared again, because a cloud's controllers may set it after the agent cleared it. */
const repeatMs = 600_000;

/**
 * Clears the condition `NetworkUnavailable` of this node's Node. Cloud controllers set it until the node has a network,
 * which keeps pods away. The request is always the same, so the API server writes nothing if the condition is clear already.
 * The agent reads nothing, so it needs no right to read.
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
   * Clears it; called once the node's data path is complete. Returns the time in ms after which to repeat it.
   * @throws Error if the API server does not answer
   */
  async clear(): Promise<number> {
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
      // the Node does not exist yet, or the rights are from an older release; pods still run if no cloud set the condition
      if (error.message !== this.#refused) {
        this.#log.warn(
          'the condition NetworkUnavailable of this Node cannot be cleared',
          faultOf(`nodes/${this.#node}`, error, 'apply'),
        );
      }
      this.#refused = error.message;
    }
    return repeatMs * (1 + Math.random() / 10);
  }
}

import type { NodeFacts } from '../allocate/view.ts';
import type { Client } from '../kube/client.ts';
import { nodes, type Node } from '../kube/resources.ts';
import { inParallel } from './parallel.ts';

/** So many Nodes are read at once of those that this operator has not seen register. */
const mostRead = 20;

/** How many pods each Node takes, as it said when it was read last. */
export class NodePods {
  readonly #client: Client;
  readonly #known = new Map<string, { uid: string; pods: number | undefined }>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** A Node was read, for whatever reason. */
  learn({ metadata, status }: Node): void {
    const pods = Number(status?.allocatable?.pods);
    this.#known.set(metadata.name, {
      uid: metadata.uid ?? '',
      pods: Number.isSafeInteger(pods) ? pods : undefined,
    });
  }

  /** Undefined: not read, or the Node does not say. */
  of({ name, uid }: NodeFacts): number | undefined {
    const known = this.#known.get(name);
    return known?.uid === uid ? known.pods : undefined;
  }

  /**
   * Reads some of those that are not known, as a new leader has not seen them register. A Node that cannot be read is
   * one without a number: this serves a warning.
   * @returns whether there are more
   */
  async readSome(all: Iterable<NodeFacts>): Promise<boolean> {
    const unknown = [...all].filter(({ name, uid }) => this.#known.get(name)?.uid !== uid);
    await inParallel(unknown.slice(0, mostRead), async ({ name, uid }) => {
      const node = await this.#client.get(nodes, name).catch(() => undefined);
      if (node?.metadata.uid === uid) this.learn(node);
      else this.#known.set(name, { uid, pods: undefined });
    });
    return unknown.length > mostRead;
  }
}

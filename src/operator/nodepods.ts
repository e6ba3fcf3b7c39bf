import { statedPods } from '../allocate/stated.ts';
import type { NodeFacts } from '../allocate/view.ts';
import type { Client } from '../kube/client.ts';
import { nodes, type Node } from '../kube/resources.ts';
import { inParallel } from './parallel.ts';

/** The most Nodes that are read at once, of those that this operator has not seen register. */
const mostRead = 20;

/** How many pods each Node takes, by its status when it was last read. */
export class NodePods {
  readonly #client: Client;
  readonly #known = new Map<string, { uid: string; pods: number | undefined }>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Takes the number from a Node that was read for any reason. */
  learn(node: Node): void {
    const { name, uid = '' } = node.metadata;
    this.#known.set(name, { uid, pods: statedPods(node) });
  }

  /** The number of pods. Undefined if the Node was not read, or does not state it. */
  of({ name, uid }: NodeFacts): number | undefined {
    const known = this.#known.get(name);
    return known?.uid === uid ? known.pods : undefined;
  }

  /**
   * Reads some of the Nodes whose number is unknown: a new leader has not seen them register. A Node that cannot be
   * read has no number, which only delays a warning.
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

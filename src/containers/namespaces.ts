import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../api/types.ts';
import type { Client } from '../kube/client.ts';
import { ApiError } from '../kube/error.ts';
import { Informer } from '../kube/informer.ts';
import { namespaceMetadata } from '../kube/resources.ts';
import type { Log } from '../log.ts';
import { networkAnnotation } from '../api/labels.ts';
import type { Namespace } from './requested.ts';
import { messageOf } from '../error.ts';

/**
 * The namespaces' labels and annotation. They come from the checkpoint until the API server has listed them. The data
 * path does not depend on them, so an agent without the right to read them does everything else.
 */
export class Namespaces {
  readonly informer: Informer<KubeObject>;
  readonly #client: Client;
  readonly #onChange: () => void;
  readonly #known: Map<string, Namespace>;
  #list: Namespace[] | undefined;

  /**
   * @param options.last from the checkpoint
   * @param options.onChange called when `list` changes
   */
  constructor(options: { client: Client; log: Log; last: readonly Namespace[]; onChange: () => void }) {
    const { client, log, last, onChange } = options;
    this.#client = client;
    this.#onChange = onChange;
    this.#known = new Map(last.map((namespace) => [namespace.name, namespace]));
    this.informer = new Informer(client, namespaceMetadata, { log });
    this.informer.onChange((name, object) => {
      this.#take(name, object);
    });
    // removes the namespaces that were deleted while nothing watched them
    void this.informer.synced().then(() => {
      for (const name of this.#known.keys()) this.#take(name, this.informer.get(name));
    });
  }

  /** The namespaces by name; the same array until something in it changes. */
  get list(): readonly Namespace[] {
    this.#list ??= [...this.#known.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return this.#list;
  }

  /** The reason why namespaces cannot be listed. Once they were listed, an unreachable API server is no problem. */
  get problem(): string | undefined {
    const { hasSynced, lastError, refused } = this.informer;
    if (hasSynced && !refused) return undefined;
    return lastError ?? 'namespaces are not listed yet';
  }

  /**
   * A namespace as the API server has it; undefined until namespaces are listed, and while the API server refuses to list
   * them.
   */
  get(name: string): Namespace | undefined {
    return this.informer.hasSynced && !this.informer.refused ? this.#known.get(name) : undefined;
  }

  /**
   * Asks the API server for one namespace. While the API server cannot be reached, the checkpoint counts. Returns a text for
   * the user if the namespace cannot be had.
   */
  async lookUp(name: string, timeoutMs: number): Promise<Namespace | string> {
    try {
      const object = await this.#client.get(namespaceMetadata, name, { timeoutMs });
      return object === undefined ? `there is no namespace ${name}` : namespaceOf(object);
    } catch (error) {
      const known = error instanceof ApiError && error.status < 500 ? undefined : this.#known.get(name);
      if (known !== undefined) return known;
      return `namespace ${name} is not known: ${messageOf(error)}`;
    }
  }

  #take(name: string, object: KubeObject | undefined): void {
    const namespace = object && namespaceOf(object);
    // other programs write into namespaces all the time
    if (isDeepStrictEqual(namespace, this.#known.get(name))) return;
    if (namespace === undefined) this.#known.delete(name);
    else this.#known.set(name, namespace);
    this.#list = undefined;
    this.#onChange();
  }
}

function namespaceOf({ metadata: { name, labels, annotations } }: KubeObject): Namespace {
  const annotation = annotations?.[networkAnnotation] ?? '';
  return {
    name,
    ...(labels === undefined ? {} : { labels }),
    ...(annotation === '' ? {} : { annotation }), // as with pods, an empty annotation counts as none
  };
}

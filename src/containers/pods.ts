import type { Client } from '../kube/client.ts';
import { ApiError } from '../kube/error.ts';
import { podMetadata } from '../kube/resources.ts';
import { networkAnnotation } from '../api/labels.ts';
import { messageOf } from '../error.ts';

/** Reads pods' annotations from the API server, for runtimes that do not pass them on. */
export class Pods {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Reads the pod's annotation; empty if it has none. Returns a text for the user if it cannot be read. */
  async networkOf(
    namespace: string,
    pod: string,
    timeoutMs: number,
  ): Promise<{ annotation: string } | string> {
    const name = `${namespace}/${pod}`;
    const lost = `the annotations of pod ${name} did not come with it (capability io.kubernetes.cri.pod-annotations)`;
    try {
      const object = await this.#client.get(podMetadata(namespace), pod, { timeoutMs });
      if (object === undefined) return `there is no pod ${name}`;
      return { annotation: object.metadata.annotations?.[networkAnnotation] ?? '' };
    } catch (error) {
      const remedy =
        error instanceof ApiError && error.status === 403 ? '; deploy/pods gives that right' : '';
      return `${lost}, and the API server cannot be asked: ${messageOf(error)}${remedy}`;
    }
  }
}

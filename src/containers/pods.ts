import type { Client } from '../kube/client.ts';
import { ApiError } from '../kube/error.ts';
import { podMetadata } from '../kube/resources.ts';
import { reasonOf } from '../host/file.ts';
import { networkAnnotation } from './wish.ts';

/** The plugin waits 5 s for its answer. */
const lookupMs = 2_000;

/** Pods' annotations, from the API server, for runtimes that do not hand them on. */
export class Pods {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** What the pod's annotation says, empty for none; or why that cannot be told, for the user. */
  async networkOf(namespace: string, pod: string): Promise<{ annotation: string } | string> {
    const name = `${namespace}/${pod}`;
    const lost = `the annotations of pod ${name} did not come with it (capability io.kubernetes.cri.pod-annotations)`;
    try {
      const object = await this.#client.get(podMetadata(namespace), pod, { timeoutMs: lookupMs });
      if (object === undefined) return `there is no pod ${name}`;
      return { annotation: object.metadata.annotations?.[networkAnnotation] ?? '' };
    } catch (error) {
      const remedy =
        error instanceof ApiError && error.status === 403 ? '; deploy/pods gives that right' : '';
      return `${lost}, and the API server cannot be asked: ${reasonOf(error)}${remedy}`;
    }
  }
}

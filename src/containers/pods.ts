import type { Client } from '../kube/client.ts';
import { ApiError } from '../kube/error.ts';
import { podMetadata } from '../kube/resources.ts';
import { lookupMs } from './ask.ts';
import { networkAnnotation } from '../api/labels.ts';
import { messageOf } from '../error.ts';

/** Pods' annotations from the API server, for runtimes that do not pass them on. */
export class Pods {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Reads the pod's annotation, empty if it has none; or says why it cannot be read, for the user. */
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
      return `${lost}, and the API server cannot be asked: ${messageOf(error)}${remedy}`;
    }
  }
}

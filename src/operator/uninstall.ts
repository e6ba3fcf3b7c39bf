import type { KubeObject } from '../api/types.ts';
import type { Client } from '../kube/client.ts';
import { Informer } from '../kube/informer.ts';
import { namespaceMetadata } from '../kube/resources.ts';
import type { Log } from '../log.ts';

/**
 * Tells when the operator's namespace is being deleted: overlaynet is being uninstalled. `kubectl delete -k deploy/system`
 * deletes the namespace first, and some time before the operator loses its rights.
 */
export class Uninstall {
  readonly #informer: Informer<KubeObject>;

  /** @param onBegin called once, as soon as it is known */
  constructor(client: Client, namespace: string, onBegin: () => void, log: Log) {
    let begun = false;
    this.#informer = new Informer(client, namespaceMetadata, {
      fieldSelector: `metadata.name=${namespace}`,
      log,
    });
    this.#informer.onChange((_name, object) => {
      if (begun || (object !== undefined && object.metadata.deletionTimestamp === undefined)) return;
      begun = true;
      log.info(
        'the namespace of the operator is being deleted: networks are not kept from being deleted any more',
      );
      onBegin();
    });
  }

  start(): void {
    this.#informer.start();
  }

  stop(): Promise<void> {
    return this.#informer.stop();
  }
}

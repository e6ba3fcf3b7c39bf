import type { KubeObject } from '../../src/api/types.ts';
import { connect } from '../../src/kube/client.ts';
import { Informer } from '../../src/kube/informer.ts';
import type { Resource } from '../../src/kube/resources.ts';
import type { TimeLimits } from '../../src/kube/transport.ts';
import { silent } from '../../src/log.ts';
import type { ControlPlane } from './controlplane.ts';
import { HttpProxy, TcpProxy } from './kubeproxy.ts';

export type ConfigMap = KubeObject & { data?: Record<string, string> };
const namespaces: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };

export const backoff = { baseMs: 50, maxMs: 400 };

/** An informer whose changes are recorded as `+name`, `~name` and `-name`, and its log lines above debug. */
export interface Followed<T extends KubeObject> {
  informer: Informer<T>;
  changes: string[];
  logged: string[];
}

/** The informers of a test over real API servers, some of them behind proxies. */
export class Following {
  readonly #plane: () => ControlPlane;
  /** Undo steps, which run in reverse order. */
  readonly #undo: (() => Promise<void>)[] = [];

  constructor(plane: () => ControlPlane) {
    this.#plane = plane;
  }

  /** Ends everything; for afterEach, even if a test failed. */
  async end(): Promise<void> {
    for (const step of this.#undo.splice(0).reverse()) await step();
  }

  /** Makes a namespace and returns its ConfigMaps. */
  readonly configMapsIn = async (namespace: string): Promise<Resource<ConfigMap>> => {
    await this.#plane().client.apply(namespaces, { metadata: { name: namespace } });
    return { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespace };
  };

  readonly make = (resource: Resource<ConfigMap>, name: string): Promise<ConfigMap> =>
    this.#plane().client.create(resource, { metadata: { name } });

  readonly follow = <T extends KubeObject>(
    resource: Resource<T>,
    server = this.#plane().server,
    limits: Partial<TimeLimits> = {},
  ): Followed<T> => {
    const own = connect({ kubeconfig: this.#plane().kubeconfigAt(server), limits });
    const logged: string[] = [];
    const note = (text: string) => void logged.push(text);
    const log = { ...silent, info: note, warn: note, error: note };
    const informer = new Informer(own, resource, { backoff, log });
    const changes: string[] = [];
    informer.onChange((name, object, old) => {
      changes.push(`${object === undefined ? '-' : old === undefined ? '+' : '~'}${name}`);
    });
    informer.start();
    this.#undo.push(async () => {
      await informer.stop();
      await own.close();
    });
    return { informer, changes, logged };
  };

  readonly tcpProxy = async (): Promise<TcpProxy> => {
    const proxy = await TcpProxy.to(this.#plane().server);
    this.#undo.push(() => proxy.close());
    return proxy;
  };

  readonly httpProxy = async (): Promise<HttpProxy> => {
    const proxy = await HttpProxy.to(this.#plane().server);
    this.#undo.push(() => proxy.close());
    return proxy;
  };
}

export const names = <T extends KubeObject>(informer: Informer<T>): string[] =>
  informer
    .list()
    .map((object) => object.metadata.name)
    .sort();

import type { Duplex } from 'node:stream';
import type { KubeObject } from '../api/types.ts';
import { loadConfig } from './config.ts';
import { ApiError } from './error.ts';
import { pathOf, type Resource } from './resources.ts';
import { Transport, type Answered, type Request, type TimeLimits } from './transport.ts';
import { watch, type WatchEvent, type WatchOptions } from './watch.ts';

export { usersKubeconfig } from './kubeconfig.ts';
export { ApiError } from './error.ts';

export interface Selectors {
  fieldSelector?: string;
  labelSelector?: string;
}

export interface CallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}

export interface List<T> {
  items: T[];
  resourceVersion: string;
}

type Subresource = 'status' | 'scale';

interface RawList<T> {
  metadata: { resourceVersion: string; continue?: string };
  items: T[] | null;
}

const partial = (kind: string) => `application/json;as=${kind};g=meta.k8s.io;v=v1`;

/**
 * Fills in what a list leaves out (kind, apiVersion), and drops managedFields, which is often half of an object and
 * is not used.
 */
const taken = <T extends KubeObject>(resource: Resource<T>, object: T): T => {
  const metadata = object.metadata as { managedFields?: unknown };
  if (metadata.managedFields !== undefined) metadata.managedFields = undefined;
  object.apiVersion = resource.apiVersion;
  object.kind = resource.kind;
  return object;
};

/**
 * The API server's client. Objects are its JSON unchanged, so times stay strings. Every method throws ApiError when
 * the request is refused and Error when there was no answer. No method retries.
 */
export class Client {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Returns undefined if the object does not exist. */
  async get<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    options: CallOptions = {},
  ): Promise<T | undefined> {
    const accept = resource.metadataOnly === true ? { accept: partial('PartialObjectMetadata') } : {};
    try {
      return await this.#call(resource, { method: 'GET', name, verb: 'get', ...accept }, options);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404 && error.reason === 'NotFound') return undefined;
      throw error;
    }
  }

  /** Lists all objects, page by page, as of one resourceVersion; without `resourceVersion`, as of the newest. */
  async list<T extends KubeObject>(
    resource: Resource<T>,
    options: Selectors & CallOptions & { pageSize?: number; resourceVersion?: string } = {},
  ): Promise<List<T>> {
    const { pageSize = resource.pageSize ?? 500, resourceVersion } = options;
    const pageOf = (query: Request['query']) => this.#page(resource, query, options);
    let page = await pageOf({ limit: pageSize, resourceVersion });
    let items: T[] = [];
    for (;;) {
      for (const item of page.items ?? []) items.push(taken(resource, item));
      const from = page.metadata.continue;
      if (from === undefined || from === '') return { items, resourceVersion: page.metadata.resourceVersion };
      try {
        page = await pageOf({ limit: pageSize, continue: from });
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 410)) throw error;
        // the version was compacted between two pages, so one consistent answer is not possible
        items = [];
        page = await pageOf({ resourceVersion });
      }
    }
  }

  /** The newest resourceVersion, over all kinds. It costs a list of one object. */
  async currentVersion(
    resource: Resource<KubeObject>,
    options: Selectors & CallOptions = {},
  ): Promise<string> {
    const timeoutMs = options.timeoutMs ?? this.#transport.limits.requestMs;
    const page = await this.#page(resource, { limit: 1 }, { ...options, timeoutMs });
    return page.metadata.resourceVersion;
  }

  /**
   * Follows changes until the server ends the watch or is silent for long. Throws ApiError 410 when `resourceVersion`
   * is too old.
   */
  async *watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    for await (const event of watch(this.#transport, resource, options)) {
      if (event.type !== 'BOOKMARK') taken(resource, event.object);
      yield event;
    }
  }

  /** @param options `strict`: the API server refuses fields that its schema lacks, instead of dropping them */
  create<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    { strict, ...options }: CallOptions & { strict?: boolean } = {},
  ): Promise<T> {
    return this.#call(
      resource,
      { method: 'POST', verb: 'create', about: object.metadata.name, body: object, ...checked(strict) },
      options,
    );
  }

  /**
   * Replaces an object (PUT). ApiError 409 when its resourceVersion is not the stored one.
   * @param options `untracked`: the API server drops managedFields and does not compute them again; `strict` as in `create`
   */
  update<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    { untracked = false, strict, ...options }: CallOptions & { untracked?: boolean; strict?: boolean } = {},
  ): Promise<T> {
    // one empty entry clears managedFields; an absent or empty list would keep them
    const metadata = untracked ? { ...object.metadata, managedFields: [{}] } : object.metadata;
    return this.#call(
      resource,
      {
        method: 'PUT',
        verb: 'update',
        name: object.metadata.name,
        body: { ...object, metadata },
        ...checked(strict),
      },
      options,
    );
  }

  updateStatus<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: CallOptions = {},
  ): Promise<T> {
    const name = object.metadata.name;
    return this.#call(
      resource,
      { method: 'PUT', verb: 'update', name, subresource: 'status', body: object },
      options,
    );
  }

  /** Sends a JSON merge patch, or a server-side apply as field manager `overlaynet` that overrides conflicts. */
  patch<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    body: unknown,
    { type, subresource, ...options }: CallOptions & { type: 'merge' | 'apply'; subresource?: Subresource },
  ): Promise<T> {
    const contentType = type === 'merge' ? 'application/merge-patch+json' : 'application/apply-patch+yaml';
    const query = type === 'merge' ? {} : { fieldManager: 'overlaynet', force: true };
    const sub = subresource === undefined ? {} : { subresource };
    return this.#call(
      resource,
      { method: 'PATCH', verb: type === 'merge' ? 'patch' : 'apply', name, body, contentType, query, ...sub },
      options,
    );
  }

  /** Creates the object or takes over the given fields. */
  apply<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: CallOptions & { subresource?: Subresource } = {},
  ): Promise<T> {
    const body = { apiVersion: resource.apiVersion, kind: resource.kind, ...object };
    return this.patch(resource, object.metadata.name, body, { ...options, type: 'apply' });
  }

  /**
   * Deletes an object; false if it did not exist. ApiError 409 when uid or resourceVersion are not the stored
   * ones.
   */
  async delete(
    resource: Resource<KubeObject>,
    name: string,
    { uid, resourceVersion, ...options }: CallOptions & { uid?: string; resourceVersion?: string } = {},
  ): Promise<boolean> {
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } };
    try {
      const request: Request = {
        what: `delete ${resource.plural}/${name}`,
        method: 'DELETE',
        path: pathOf(resource, name),
        body,
      };
      await this.#transport.json(request, options.timeoutMs, options.signal);
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false;
      throw error;
    }
  }

  /** Returns the text that any other path answers: `/readyz`, or a subresource of another kind. */
  raw(request: Request, options: CallOptions = {}): Promise<string> {
    return this.#transport.text(request, options.timeoutMs, options.signal);
  }

  /** A connection to a port of a pod, through the API server. @throws ApiError, Error */
  async forward(namespace: string, pod: string, port: number, signal: AbortSignal): Promise<Duplex> {
    const { forwardPort } = await import('./portforward.ts');
    return forwardPort(await this.#transport.access(), { namespace, pod, port }, signal);
  }

  /** `https://127.0.0.1:6443`, for messages. */
  get server(): string {
    return this.#transport.server;
  }

  /** Closes all connections, those of watches too. */
  close(): Promise<void> {
    this.#transport.close();
    return Promise.resolve();
  }

  async #page<T extends KubeObject>(
    resource: Resource<T>,
    query: Request['query'],
    { fieldSelector, labelSelector, signal, timeoutMs }: Selectors & CallOptions,
  ): Promise<RawList<T>> {
    const request: Request = {
      what: `list ${resource.plural}`,
      method: 'GET',
      path: pathOf(resource),
      query: { fieldSelector, labelSelector, ...query },
      ...(resource.metadataOnly === true ? { accept: partial('PartialObjectMetadataList') } : {}),
    };
    const answer = await this.#transport.json(request, timeoutMs ?? this.#transport.limits.listMs, signal);
    return answer as RawList<T>;
  }

  async #call<T extends KubeObject>(
    resource: Resource<T>,
    call: Omit<Request, 'what' | 'path'> & {
      verb: string;
      name?: string;
      about?: string;
      subresource?: Subresource;
    },
    options: CallOptions,
  ): Promise<T> {
    const { verb, name, about, subresource, ...rest } = call;
    const what = `${verb} ${[resource.plural, name ?? about, subresource].filter((part) => part !== undefined).join('/')}`;
    const request: Request = { ...rest, what, path: pathOf(resource, name, subresource) };
    return taken(resource, (await this.#transport.json(request, options.timeoutMs, options.signal)) as T);
  }
}

const checked = (strict = false): Pick<Request, 'query'> =>
  strict ? { query: { fieldValidation: 'Strict' } } : {};

/**
 * Makes a client from the file `kubeconfig`, else KUBECONFIG, else the pod's service account. The first call
 * connects.
 */
export const connect = (
  options: {
    kubeconfig?: string;
    context?: string;
    limits?: Partial<TimeLimits>;
    onAnswer?: (request: Answered) => void;
  } = {},
): Client =>
  new Client(
    new Transport(loadConfig(options.kubeconfig, options.context), options.limits, options.onAnswer),
  );

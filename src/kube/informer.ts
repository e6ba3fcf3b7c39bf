import type { KubeObject } from '../api/types.ts';
import { silent, type Log } from '../log.ts';
import { ApiError, type Client } from './client.ts';
import { messageOf } from './error.ts';
import type { Resource } from './resources.ts';
import { isNewer } from './version.ts';
import { backoffDelay, pause, untilAborted, type BackoffOptions } from './wait.ts';
import type { WatchEvent } from './watch.ts';

export interface InformerOptions {
  fieldSelector?: string;
  labelSelector?: string;
  log?: Log;
  /** Delays between attempts while the API server cannot be reached or refuses. */
  backoff?: BackoffOptions;
}

export type ChangeHandler<T> = (name: string, object: T | undefined, old: T | undefined) => void;

/** A watch that ended sooner counts as failed: the next attempt waits, growing longer. */
const briefMs = 1000;

/** A local copy of all objects of a resource, by name, that follows the API server whatever happens to it or to the way there. */
export class Informer<T extends KubeObject> {
  /** Since the start, for metrics. */
  readonly counters = { relists: 0, watches: 0, events: 0, failures: 0 };
  readonly #client: Client;
  readonly #resource: Resource<T>;
  readonly #selectors: Pick<InformerOptions, 'fieldSelector' | 'labelSelector'> = {};
  readonly #log: Log;
  readonly #backoff: BackoffOptions;
  readonly #handlers: ChangeHandler<T>[] = [];
  readonly #stopped = new AbortController();
  readonly #synced = Promise.withResolvers<undefined>();
  #objects = new Map<string, T>();
  #resourceVersion = '0';
  #hasSynced = false;
  #mustList = true;
  /** When the watch was accepted. */
  #openedAt = Infinity;
  #lastFailure: unknown;
  #running: Promise<void> | undefined;

  constructor(client: Client, resource: Resource<T>, options: InformerOptions = {}) {
    this.#client = client;
    this.#resource = resource;
    if (options.fieldSelector !== undefined) this.#selectors.fieldSelector = options.fieldSelector;
    if (options.labelSelector !== undefined) this.#selectors.labelSelector = options.labelSelector;
    this.#log = options.log ?? silent;
    this.#backoff = options.backoff ?? { baseMs: 200, maxMs: 10_000 };
  }

  get resource(): Resource<T> {
    return this.#resource;
  }

  /** A complete list came once: get() and list() tell the truth, if perhaps an old one. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Everything up to it has been seen; `0` before the first list. It goes back when the API server's data went back. */
  get resourceVersion(): string {
    return this.#resourceVersion;
  }

  /** Why it is not connected now; undefined while it is. */
  get lastError(): string | undefined {
    return this.#lastFailure === undefined ? undefined : messageOf(this.#lastFailure);
  }

  /** The API server answers, and does not let us follow them, or knows none such: what is known may be old. */
  get refused(): boolean {
    return this.#lastFailure instanceof ApiError && [401, 403, 404].includes(this.#lastFailure.status);
  }

  start(): void {
    this.#running ??= this.#run(this.#stopped.signal);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  /** Resolves after the first complete list; rejects with the signal's reason. */
  async synced(signal?: AbortSignal): Promise<void> {
    await (signal === undefined ? this.#synced.promise : untilAborted(this.#synced.promise, signal));
  }

  get(name: string): T | undefined {
    return this.#objects.get(name);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  /** Called for every object that is new, different or gone (undefined), after the store shows it. Nothing is told twice. */
  onChange(handler: ChangeHandler<T>): void {
    this.#handlers.push(handler);
  }

  /** Takes the answer to a write of our own at once, unless something newer is known already. */
  learn(object: T): void {
    const { name, resourceVersion } = object.metadata;
    const old = this.#objects.get(name);
    // when the watch is already past it and has none, it was deleted since
    const known = old?.metadata.resourceVersion ?? this.#resourceVersion;
    if (this.#hasSynced && isNewer(resourceVersion, known)) this.#set(name, object, old);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const stopped = () => signal.aborted;
    for (let attempt = 0; !stopped(); attempt++) {
      let retryAfterMs = 0;
      this.#openedAt = Infinity;
      try {
        if (this.#mustList) await this.#relist(signal);
        await this.#watch(signal);
      } catch (error) {
        if (stopped()) return;
        retryAfterMs = this.#fail(error);
      }
      if (performance.now() - this.#openedAt >= briefMs) attempt = 0;
      await pause(retryAfterMs + backoffDelay(this.#backoff, attempt), signal);
    }
  }

  /** Returns how long the server asks us to wait, in ms. */
  #fail(error: unknown): number {
    this.counters.failures++;
    const message = messageOf(error);
    this.#lastFailure = error;
    if (!(error instanceof ApiError)) {
      this.#log.warn('cannot follow', { resource: this.#resource.plural, error: message });
      return 0;
    }
    // overload and outage pass; anything else means that this resourceVersion leads nowhere
    if (error.status !== 429 && error.status < 500) this.#mustList = true;
    if (error.status === 410) this.#log.debug('watch expired', { resource: this.#resource.plural });
    else this.#log.warn('cannot follow', { resource: this.#resource.plural, error: message });
    return error.retryAfterMs ?? 0;
  }

  async #relist(signal: AbortSignal): Promise<void> {
    const { items, resourceVersion } = await this.#client.list(this.#resource, {
      ...this.#selectors,
      signal,
    });
    this.counters.relists++;
    this.#lastFailure = undefined;
    const old = this.#objects;
    const wentBack = isNewer(this.#resourceVersion, resourceVersion);
    // what learn() brought while the list was under way is newer than the list, and the watch will come to it
    const newer = (object: T | undefined, than: string | undefined) =>
      object !== undefined && !wentBack && isNewer(object.metadata.resourceVersion, than);
    const now = new Map<string, T>();
    for (const item of items) {
      const known = old.get(item.metadata.name);
      now.set(
        item.metadata.name,
        known !== undefined && newer(known, item.metadata.resourceVersion) ? known : item,
      );
    }
    for (const [name, known] of old)
      if (!now.has(name) && newer(known, resourceVersion)) now.set(name, known);
    this.#objects = now;
    this.#resourceVersion = resourceVersion;
    this.#mustList = false;
    this.#hasSynced = true;
    for (const [name, object] of now) {
      const known = old.get(name);
      if (wentBack || known?.metadata.resourceVersion !== object.metadata.resourceVersion)
        this.#tell(name, object, known);
    }
    for (const [name, known] of old) if (!now.has(name)) this.#tell(name, undefined, known);
    this.#synced.resolve(undefined);
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const onOpen = () => {
      this.counters.watches++;
      this.#openedAt = performance.now();
      this.#lastFailure = undefined;
    };
    const options = { ...this.#selectors, resourceVersion: this.#resourceVersion, signal, onOpen };
    for await (const event of this.#client.watch(this.#resource, options)) this.#take(event);
  }

  #take({ type, object }: WatchEvent<T>): void {
    const { name, resourceVersion = '0' } = object.metadata;
    if (isNewer(this.#resourceVersion, resourceVersion)) {
      // an etcd that was restored goes on from an older version, and would not send again what we believe to know
      this.#mustList = true;
      throw new Error(
        `${this.#resource.plural}: resourceVersion went back from ${this.#resourceVersion} to ${resourceVersion}`,
      );
    }
    this.#resourceVersion = resourceVersion;
    if (type === 'BOOKMARK') return;
    this.counters.events++;
    const old = this.#objects.get(name);
    if (type === 'DELETED') {
      // one that learn() brought may be its successor
      if (old === undefined || isNewer(old.metadata.resourceVersion, resourceVersion)) return;
      this.#objects.delete(name);
      this.#tell(name, undefined, old);
    } else if (isNewer(resourceVersion, old?.metadata.resourceVersion)) {
      this.#set(name, object, old);
    }
  }

  #set(name: string, object: T, old: T | undefined): void {
    this.#objects.set(name, object);
    this.#tell(name, object, old);
  }

  #tell(name: string, object: T | undefined, old: T | undefined): void {
    for (const handler of this.#handlers) {
      try {
        handler(name, object, old);
      } catch (error) {
        this.#log.error('a change handler failed', { resource: this.#resource.plural, name, error });
      }
    }
  }
}

import type { KubeObject } from '../api/types.ts';
import { faultOf, silent, type Log } from '../log.ts';
import { Recurring } from '../recurring.ts';
import { ApiError, type Client } from './client.ts';
import { Handlers, type ChangeHandler, type WentBackHandler } from './handlers.ts';
import type { InformerOptions } from './informeroptions.ts';
import type { Resource } from './resources.ts';
import { Store } from './store.ts';
import { isNewer } from './version.ts';
import { Attempts, pause, untilAborted } from './wait.ts';
import type { WatchEvent } from './watch.ts';
import { messageOf } from '../error.ts';

/** A watch that ends sooner counts as failed, so the next attempt waits, longer each time. */
const briefMs = 1000;

/**
 * Keeps a local copy of all objects of a resource, by name. It follows the API server through outages, lost connections
 * and restored data.
 *
 * An etcd that was restored from a backup continues from an older version. A watch from a version that it has not
 * reached is accepted and stays silent, without bookmarks. So every watch begins with a comparison. After a watch that
 * ended or was silent for long, the version of a list of one object and the newest object itself are compared. After an
 * attempt without an answer all objects are compared, because the restored data may have passed the old version.
 *
 * An API server that is not restarted after the restore continues to list and watch the lost data. Only reads of single
 * objects show this; onWentBack() reports it at every comparison, until the API server is restarted.
 */
export class Informer<T extends KubeObject> {
  /** Counts since the start, for metrics. */
  readonly counters = { relists: 0, watches: 0, events: 0, failures: 0, restores: 0 };
  readonly #client: Client;
  readonly #resource: Resource<T>;
  readonly #selectors: Pick<InformerOptions, 'fieldSelector'> = {};
  readonly #log: Log;
  readonly #faults: Recurring;
  readonly #attempts: Attempts;
  readonly #baseMs: number;
  readonly #onFailure: InformerOptions['onFailure'];
  readonly #handlers: Handlers<T>;
  readonly #stopped = new AbortController();
  readonly #synced = Promise.withResolvers<undefined>();
  readonly #store: Store<T>;
  #mustList = true;
  /** Pending calls of relist() that the next list answers. */
  #asked: PromiseWithResolvers<undefined> | undefined;
  /** Ends the watch, or the pause before it, when a list is needed first. */
  #wake = new AbortController();
  #listedAt = -Infinity;
  /** Time at which the watch was accepted. */
  #openedAt = Infinity;
  #lastFailure: unknown;
  #running: Promise<void> | undefined;

  constructor(client: Client, resource: Resource<T>, options: InformerOptions = {}) {
    this.#client = client;
    this.#resource = resource;
    if (options.fieldSelector !== undefined) this.#selectors.fieldSelector = options.fieldSelector;
    this.#log = options.log ?? silent;
    this.#faults = new Recurring(this.#log, 'cannot follow', 'follows again');
    this.#onFailure = options.onFailure;
    // an API server that returns is followed within five seconds, however long it was away
    const backoff = options.backoff ?? { baseMs: 200, maxMs: 4_000 };
    this.#attempts = new Attempts(backoff);
    this.#baseMs = backoff.baseMs;
    this.#handlers = new Handlers(resource.plural, this.#log);
    this.#store = new Store((...change) => {
      this.#handlers.changed(...change);
    });
  }

  get resource(): Resource<T> {
    return this.#resource;
  }

  /** Whether one complete list has arrived. From then on get() and list() show real data, though it may be old. */
  get hasSynced(): boolean {
    return this.#store.hasSynced;
  }

  /**
   * Everything up to this version has been seen; `0` before the first list. It decreases when the API server's data
   * is restored.
   */
  get resourceVersion(): string {
    return this.#store.resourceVersion;
  }

  /** Why there is no connection now; undefined while there is one. */
  get lastError(): string | undefined {
    return this.#lastFailure === undefined ? undefined : messageOf(this.#lastFailure);
  }

  /**
   * Whether the API server answers but refuses to list or watch, or does not know the resource. The local data may be
   * old then.
   */
  get refused(): boolean {
    return this.#lastFailure instanceof ApiError && [401, 403, 404].includes(this.#lastFailure.status);
  }

  start(): void {
    this.#running ??= this.#run(this.#stopped.signal);
  }

  async stop(): Promise<void> {
    const error = new Error(`the informer of ${this.#resource.plural} was stopped`);
    this.#stopped.abort(error);
    this.#asked?.reject(error);
    await this.#running;
  }

  /** Resolves after the first complete list; rejects with the signal's reason. */
  async synced(signal?: AbortSignal): Promise<void> {
    await (signal === undefined ? this.#synced.promise : untilAborted(this.#synced.promise, signal));
  }

  get(name: string): T | undefined {
    return this.#store.get(name);
  }

  list(): T[] {
    return this.#store.list();
  }

  /** All current objects by name. The same Map is returned until an object changes. */
  get byName(): ReadonlyMap<string, T> {
    return this.#store.byName;
  }

  /** Calls `handler` once for each object that is new, changed or gone (undefined), after the store shows it. */
  onChange(handler: ChangeHandler<T>): void {
    this.#handlers.onChange(handler);
  }

  /**
   * Calls `handler` when the API server shows older data than was seen (a restored etcd), before the store takes it
   * over.
   */
  onWentBack(handler: WentBackHandler): void {
    this.#handlers.onWentBack(handler);
  }

  /** Stores the answer to a write of this process at once, unless something newer is known. */
  learn(object: T): void {
    this.#store.learn(object);
  }

  /**
   * Reads one object from the API server by a quorum read, and updates the store at once, also when the object does
   * not exist. Returns the object.
   * @throws ApiError, or Error without an answer; the store is unchanged then
   */
  async refresh(name: string, signal?: AbortSignal): Promise<T | undefined> {
    const before = { object: this.#store.get(name), seen: this.#store.resourceVersion };
    const found = await this.#client.get(this.#resource, name, signal === undefined ? {} : { signal });
    if (!this.#store.confirm(name, found, before)) {
      this.#wentBack(before.seen, found?.metadata.resourceVersion ?? '');
      this.#listNow();
    }
    return found;
  }

  /**
   * Lists everything by a consistent read that begins after this call, and continues the watch from there. Calls that
   * arrive before the read begins share it.
   * @throws why that list failed, or the signal's reason; the informer keeps trying then
   */
  async relist(signal?: AbortSignal): Promise<void> {
    this.#stopped.signal.throwIfAborted();
    this.#asked ??= Promise.withResolvers<undefined>();
    const { promise } = this.#asked;
    this.#listNow();
    await (signal === undefined ? promise : untilAborted(promise, signal));
  }

  #listNow(): void {
    this.#mustList = true;
    this.#wake.abort();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const stopped = () => signal.aborted;
    while (!stopped()) {
      let retryAfterMs = 0;
      this.#openedAt = Infinity;
      try {
        if (!this.#mustList) await this.#compare(signal);
        while (this.#mustList) await this.#relist(signal);
        await this.#watch(signal);
      } catch (error) {
        if (stopped()) return;
        this.#attempts.failed(error instanceof ApiError);
        retryAfterMs = this.#fail(error);
      }
      const wake = this.#wake.signal;
      const openMs = performance.now() - this.#openedAt;
      if (openMs >= briefMs || (openMs >= 0 && wake.aborted)) this.#attempts.succeeded();
      await pause(retryAfterMs, signal);
      await pause(this.#attempts.nextMs(), AbortSignal.any([signal, wake]));
    }
  }

  /** Handles a failed attempt. Returns how long the server asks to wait, in ms. */
  #fail(error: unknown): number {
    this.counters.failures++;
    this.#lastFailure = error;
    this.#onFailure?.(error);
    const refused = error instanceof ApiError ? error : undefined;
    // without an answer, the next server that answers may have other data; overload and outage pass, and any other
    // error means that this resourceVersion cannot be continued
    if (refused === undefined ? this.#openedAt === Infinity : refused.status !== 429 && refused.status < 500)
      this.#mustList = true;
    if (refused?.status === 410) this.#log.debug('watch expired', { resource: this.#resource.plural });
    else this.#faults.failed([faultOf(this.#resource.plural, error, 'watch')]);
    return refused?.retryAfterMs ?? 0;
  }

  /**
   * Compares versions before a watch continues: the API server must have reached the version where the last watch
   * ended.
   */
  async #compare(signal: AbortSignal): Promise<void> {
    const options = { ...this.#selectors, signal };
    const current = await this.#client.currentVersion(this.#resource, options);
    const { resourceVersion, newest } = this.#store;
    if (isNewer(resourceVersion, current)) {
      this.#wentBack(resourceVersion, current);
      this.#mustList = true;
    } else if (newest !== undefined) {
      // lists come from the API server's cache, which outlives the data when an etcd is restored behind it
      await this.refresh(newest.metadata.name, signal).catch((error: unknown) => {
        if (!(error instanceof ApiError && error.status === 403)) throw error;
      });
    }
  }

  async #relist(signal: AbortSignal): Promise<void> {
    await pause(Math.max(0, this.#listedAt + this.#baseMs - performance.now()), signal);
    const asked = this.#asked;
    this.#asked = undefined;
    this.#wake = new AbortController();
    this.#mustList = false;
    this.#listedAt = performance.now();
    try {
      const mark = this.#store.mark();
      const list = await this.#client.list(this.#resource, { ...this.#selectors, signal });
      this.counters.relists++;
      this.#lastFailure = undefined;
      if (this.#store.contradicts(list, mark)) this.#wentBack(mark.resourceVersion, list.resourceVersion);
      this.#store.replace(list, mark);
      this.#synced.resolve(undefined);
      asked?.resolve(undefined);
    } catch (error) {
      this.#mustList = true;
      asked?.reject(error);
      throw error;
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const onOpen = () => {
      this.counters.watches++;
      this.#openedAt = performance.now();
      this.#lastFailure = undefined;
      this.#faults.succeeded(this.#resource.plural);
    };
    const { resourceVersion } = this.#store;
    const wake = this.#wake.signal;
    const either = AbortSignal.any([signal, wake]);
    const options = { ...this.#selectors, resourceVersion, signal: either, onOpen };
    try {
      for await (const event of this.#client.watch(this.#resource, options)) this.#take(event);
    } catch (error) {
      if (!wake.aborted) throw error;
    }
  }

  #take(event: WatchEvent<T>): void {
    const { resourceVersion: from } = this.#store;
    const { resourceVersion: to = '0' } = event.object.metadata;
    if (isNewer(from, to)) {
      // a restored etcd would not send objects again that we believe to have
      this.#wentBack(from, to);
      this.#mustList = true;
      throw new Error(`${this.#resource.plural}: resourceVersion went back from ${from} to ${to}`);
    }
    if (this.#store.take(event)) this.counters.events++;
  }

  /** Reports restored data, once until the store has taken it over. */
  #wentBack(from: string, to: string): void {
    if (this.#store.distrusted) return;
    this.#store.distrusted = true;
    this.counters.restores++;
    const { plural } = this.#resource;
    this.#log.warn("the API server's data went back", faultOf(plural, `${from} → ${to}`, `list ${plural}`));
    this.#handlers.wentBack(from, to);
  }
}

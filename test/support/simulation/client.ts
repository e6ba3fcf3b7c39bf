import type { KubeObject } from '../../../src/api/types.ts';
import type { ApiError, CallOptions, Client, List } from '../../../src/kube/client.ts';
import type { Resource } from '../../../src/kube/resources.ts';
import type { WatchEvent, WatchOptions } from '../../../src/kube/watch.ts';
import { Refused, type Commit, type MemoryServer, type Preconditions, type Stored } from './server.ts';

/** One request. */
export interface Call {
  actor: string;
  verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'status' | 'patch' | 'delete';
  plural: string;
  /** Empty for lists and watches. */
  name: string;
  writes: boolean;
}

/** Decides when a request reaches the server, when its answer arrives, and when events are delivered. */
export interface Gate {
  /** Resolves when the request may reach the server; rejects if it is lost or refused on the way. */
  request: (call: Call, signal: AbortSignal | undefined) => Promise<void>;
  /** Resolves when the answer may arrive; rejects if it is lost. */
  answer: (call: Call, signal: AbortSignal | undefined) => Promise<void>;
  /**
   * Resolves with the number of waiting events to deliver now; 0: a bookmark; `end`: the server ends the watch.
   * @param waiting returns the number of waiting events
   */
  events: (call: Call, waiting: () => number, signal: AbortSignal) => Promise<number | 'end'>;
}

type Methods = Pick<
  Client,
  'get' | 'list' | 'watch' | 'create' | 'update' | 'updateStatus' | 'patch' | 'apply' | 'delete' | 'close'
>;

const metadataOf = new WeakMap<Stored, Stored>();

/** Returns the PartialObjectMetadata of an object, always the same one for the same object. */
function partial(object: Stored): Stored {
  let known = metadataOf.get(object);
  if (known === undefined) metadataOf.set(object, (known = { metadata: object.metadata }));
  return known;
}

/** A Client for a MemoryServer. Each call passes the gate on its way there and back. */
export class MemoryClient implements Methods {
  readonly #server: MemoryServer;
  readonly #gate: Gate;
  readonly #actor: string;
  readonly #ApiError: typeof ApiError;

  /** @param error the class that the code under test uses as ApiError */
  constructor(options: { server: MemoryServer; gate: Gate; actor: string; error: typeof ApiError }) {
    this.#server = options.server;
    this.#gate = options.gate;
    this.#actor = options.actor;
    this.#ApiError = options.error;
  }

  /** This client as the class Client, whose private parts it cannot declare. */
  get asClient(): Client {
    return this as unknown as Client;
  }

  get<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    options: CallOptions = {},
  ): Promise<T | undefined> {
    return this.#call({ verb: 'get', plural: resource.plural, name, writes: false }, options, () => {
      const object = this.#server.get(resource.plural, name);
      return object && this.#taken(resource, object);
    });
  }

  list<T extends KubeObject>(
    resource: Resource<T>,
    options: CallOptions & { fieldSelector?: string; pageSize?: number; resourceVersion?: string } = {},
  ): Promise<List<T>> {
    const name = /^metadata\.name=(.*)$/.exec(options.fieldSelector ?? '')?.[1];
    return this.#call({ verb: 'list', plural: resource.plural, name: '', writes: false }, options, () => ({
      items: this.#server
        .list(resource.plural)
        .filter(({ metadata }) => name === undefined || metadata.name === name)
        .map((object) => this.#taken(resource, object)),
      resourceVersion: String(this.#server.revision),
    }));
  }

  /** Returns the newest version of all kinds. */
  async currentVersion(resource: Resource<KubeObject>, options: CallOptions = {}): Promise<string> {
    const call = { verb: 'list', plural: resource.plural, name: '', writes: false } as const;
    return this.#call(call, options, () => String(this.#server.revision));
  }

  async *watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    const call: Call = {
      actor: this.#actor,
      verb: 'watch',
      plural: resource.plural,
      name: '',
      writes: false,
    };
    const { signal } = options;
    await this.#gate.request(call, signal);
    options.onOpen?.();
    const history = this.#server.history(resource.plural);
    let next = history.findIndex(({ revision }) => revision > Number(options.resourceVersion));
    if (next < 0) next = history.length;
    for (;;) {
      const count = await this.#gate.events(call, () => history.length - next, signal);
      if (count === 'end') return;
      if (count === 0) {
        const metadata = { name: '', resourceVersion: String(this.#server.revision) };
        yield { type: 'BOOKMARK', object: { metadata } as unknown as T };
      }
      for (let sent = 0; sent < count; sent++) {
        const { type, object } = history[next++] as Commit;
        yield { type, object: this.#taken(resource, object) };
      }
    }
  }

  create<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: CallOptions & { strict?: boolean } = {},
  ): Promise<T> {
    return this.#write('create', resource, object.metadata.name, options, (plural) =>
      this.#server.create(plural, object, this.#actor, options.strict),
    );
  }

  update<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: CallOptions & { strict?: boolean } = {},
  ): Promise<T> {
    return this.#write('update', resource, object.metadata.name, options, (plural) =>
      this.#server.update(plural, object, this.#actor, options.strict),
    );
  }

  updateStatus<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: CallOptions = {},
  ): Promise<T> {
    return this.#write('status', resource, object.metadata.name, options, (plural) =>
      this.#server.updateStatus(plural, object, this.#actor),
    );
  }

  patch<T extends KubeObject>(
    resource: Resource<T>,
    name: string,
    body: unknown,
    {
      type,
      subresource,
      ...options
    }: CallOptions & { type: 'merge' | 'apply'; subresource?: 'status' | 'scale' },
  ): Promise<T> {
    if (type !== 'merge' || subresource === 'scale')
      throw new Error('the simulation knows merge patches alone');
    return this.#write('patch', resource, name, options, (plural) =>
      this.#server.patch(plural, name, body, subresource, this.#actor),
    );
  }

  apply(): Promise<never> {
    throw new Error('the simulation knows no server-side apply');
  }

  async delete(
    resource: Resource<KubeObject>,
    name: string,
    { uid, resourceVersion, ...options }: CallOptions & Preconditions = {},
  ): Promise<boolean> {
    const call = { verb: 'delete', plural: resource.plural, name, writes: true } as const;
    try {
      await this.#call(call, options, () => {
        this.#server.delete(resource.plural, name, { uid, resourceVersion }, this.#actor);
      });
      return true;
    } catch (error) {
      if (error instanceof this.#ApiError && error.status === 404) return false;
      throw error;
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #taken<T extends KubeObject>(resource: Resource<T>, object: Stored): T {
    return (resource.metadataOnly === true ? partial(object) : object) as unknown as T;
  }

  #write<T extends KubeObject>(
    verb: Call['verb'],
    resource: Resource<T>,
    name: string,
    options: CallOptions,
    act: (plural: string) => Stored,
  ): Promise<T> {
    const { plural } = resource;
    return this.#call({ verb, plural, name, writes: true }, options, () =>
      this.#taken(resource, act(plural)),
    );
  }

  async #call<R>(about: Omit<Call, 'actor'>, { signal }: CallOptions, act: () => R): Promise<R> {
    const call = { actor: this.#actor, ...about };
    await this.#gate.request(call, signal);
    let result: R;
    let refused: Error | undefined;
    try {
      result = act();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { status, reason, message } = error;
      refused = new this.#ApiError(`${call.verb} ${call.plural}/${call.name}`, status, { reason, message });
    }
    await this.#gate.answer(call, signal);
    if (refused !== undefined) throw refused;
    return result!;
  }
}

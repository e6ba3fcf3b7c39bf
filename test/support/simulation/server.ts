import { isDeepStrictEqual } from 'node:util';
import type { KubeObject, ObjectMeta } from '../../../src/api/types.ts';
import { crdPageSize, rulesFor, type Rules } from './rules.ts';

export type Stored = KubeObject & {
  metadata: ObjectMeta & { finalizers?: string[] };
  spec?: unknown;
  status?: unknown;
};

/** A refusal by the API server, with status and reason as in an ApiError. */
export class Refused extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** One revision. */
export interface Commit {
  revision: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  plural: string;
  name: string;
  /** The object's new state. For a deletion: its last state, at this revision. */
  object: Stored;
  old: Stored | undefined;
  /** The client that wrote it. */
  actor: string;
}

export interface Preconditions {
  uid?: string | undefined;
  resourceVersion?: string | undefined;
}

const nodeRules: Rules = { status: true, unconditional: true };

/** Freezes an object. Readers share objects, so that all of them would see a change in place. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) frozen(inner);
  }
  return value;
}

/** Returns the object as JSON would carry it: without undefined fields. */
const wire = (object: KubeObject): Stored => JSON.parse(JSON.stringify(object)) as Stored;

/**
 * An API server in memory with the features that the allocation depends on: objects by kind and name, one revision
 * counter, compare-and-swap, preconditions of deletes, finalizers, generations, status as a subresource, the CRDs'
 * rules, and the history for watches. test/apiserver/simulation.test.ts compares it with a real one.
 */
export class MemoryServer {
  revision = 100;
  /** Called during the write, when the store already shows it. */
  readonly onCommit: ((commit: Commit) => void)[] = [];
  /**
   * Fields of specs that the CRDs do not have, such as `index.settings.staleAfter`: they are dropped, or refused if the
   * writer is strict.
   */
  readonly unknownFields: string[] = [];
  readonly #now: () => number;
  readonly #rules: Readonly<Record<string, Rules>>;
  readonly #objects = new Map<string, Map<string, Stored>>();
  readonly #history = new Map<string, Commit[]>();
  #uids = 0;

  /** @param now returns milliseconds since the epoch */
  constructor(now: () => number, pageSize = crdPageSize) {
    this.#now = now;
    this.#rules = rulesFor(pageSize);
    const crd = 'overlaynetworks.overlaynet.dev';
    const metadata = { name: crd, uid: 'uid-crd', resourceVersion: '1' };
    this.#objects.set('customresourcedefinitions', new Map([[crd, { metadata }]]));
  }

  get(plural: string, name: string): Stored | undefined {
    return this.#objects.get(plural)?.get(name);
  }

  /** Sorted by name, as etcd's keys are. */
  list(plural: string): Stored[] {
    const all = [...(this.#objects.get(plural)?.values() ?? [])];
    return all.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  /** Returns every commit of a kind, oldest first. */
  history(plural: string): readonly Commit[] {
    let all = this.#history.get(plural);
    if (all === undefined) this.#history.set(plural, (all = []));
    return all;
  }

  create(plural: string, given: KubeObject, actor: string, strict = false): Stored {
    const object = this.#known(wire(given), strict);
    const { name } = object.metadata;
    const rules = this.#rulesOf(plural);
    if (rules.status && rules !== nodeRules) delete object.status;
    rules.defaults?.(object);
    this.#admit(plural, object, undefined);
    if (this.get(plural, name) !== undefined) {
      throw new Refused(409, 'AlreadyExists', `${plural} "${name}" already exists`);
    }
    const number = (++this.#uids).toString(16).padStart(12, '0');
    object.metadata.uid = `00000000-0000-4000-8000-${number}`;
    object.metadata.creationTimestamp = `${new Date(this.#now()).toISOString().slice(0, 19)}Z`;
    object.metadata.generation = 1;
    delete object.metadata.deletionTimestamp;
    return this.#commit('ADDED', plural, object, undefined, actor);
  }

  update(plural: string, given: KubeObject, actor: string, strict = false): Stored {
    const object = this.#known(wire(given), strict);
    const { old, rules } = this.#guarded(plural, object);
    if (rules.status) {
      if (old.status === undefined) delete object.status;
      else object.status = old.status;
    }
    rules.defaults?.(object);
    return this.#replace(plural, object, old, actor);
  }

  /** Changes only the status. */
  updateStatus(plural: string, given: KubeObject, actor: string): Stored {
    const { status, metadata } = wire(given);
    const { old, rules } = this.#guarded(plural, { metadata });
    if (!rules.status) throw new Refused(404, '', 'the server could not find the requested resource');
    const { status: _was, ...rest } = old;
    const next = { ...rest, ...(status === undefined ? {} : { status }) };
    return isDeepStrictEqual(next, old) ? old : this.#commit('MODIFIED', plural, next, old, actor);
  }

  /** Applies a JSON merge patch. */
  patch(
    plural: string,
    name: string,
    patch: unknown,
    subresource: 'status' | undefined,
    actor: string,
  ): Stored {
    const old = this.#existing(plural, name);
    const merged = mergePatch(old, patch) as Stored;
    return subresource === 'status'
      ? this.updateStatus(plural, merged, actor)
      : this.update(plural, merged, actor);
  }

  delete(plural: string, name: string, { uid, resourceVersion }: Preconditions, actor: string): void {
    const old = this.#existing(plural, name);
    const wrong =
      (uid !== undefined && uid !== old.metadata.uid) ||
      (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion);
    if (wrong) throw new Refused(409, 'Conflict', `the precondition of ${plural} "${name}" does not hold`);
    if ((old.metadata.finalizers?.length ?? 0) === 0) {
      this.#commit('DELETED', plural, old, old, actor);
      return;
    }
    if (old.metadata.deletionTimestamp !== undefined) return;
    const metadata = {
      ...old.metadata,
      deletionTimestamp: `${new Date(this.#now()).toISOString().slice(0, 19)}Z`,
    };
    metadata.generation = (metadata.generation ?? 0) + 1;
    this.#commit('MODIFIED', plural, { ...old, metadata }, old, actor);
  }

  #known(object: Stored, strict: boolean): Stored {
    for (const field of this.unknownFields) {
      const path = field.split('.');
      const last = path.pop()!;
      let parts: unknown[] = [object.spec];
      for (const name of path)
        parts = parts.flatMap((part) => (part as Record<string, unknown> | undefined)?.[name] ?? []);
      for (const part of parts as Record<string, unknown>[]) {
        if (part[last] === undefined) continue;
        if (strict)
          throw new Refused(400, 'BadRequest', `strict decoding error: unknown field "spec.${field}"`);
        Reflect.deleteProperty(part, last);
      }
    }
    return object;
  }

  #existing(plural: string, name: string): Stored {
    const object = this.get(plural, name);
    if (object === undefined) throw new Refused(404, 'NotFound', `${plural} "${name}" not found`);
    return object;
  }

  /** The compare of compare-and-swap. Restores the fields that no writer can change. */
  #guarded(plural: string, object: Stored): { old: Stored; rules: Rules } {
    const { name, resourceVersion, uid } = object.metadata;
    const rules = this.#rulesOf(plural);
    const old = this.#existing(plural, name);
    if (resourceVersion === undefined && !rules.unconditional) {
      throw new Refused(422, 'Invalid', 'metadata.resourceVersion: must be specified for an update');
    }
    const stale = resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion;
    if (stale || (uid !== undefined && uid !== old.metadata.uid)) {
      throw new Refused(409, 'Conflict', `${plural} "${name}": the object has been modified`);
    }
    const { creationTimestamp, generation, deletionTimestamp } = old.metadata;
    const kept = { uid: old.metadata.uid, creationTimestamp, generation, deletionTimestamp };
    // removes undefined fields
    object.metadata = wire({ metadata: { ...object.metadata, ...kept } as ObjectMeta }).metadata;
    return { old, rules };
  }

  #replace(plural: string, object: Stored, old: Stored, actor: string): Stored {
    this.#admit(plural, object, old);
    object.metadata.resourceVersion = old.metadata.resourceVersion!;
    // a write that changes nothing makes no revision
    if (isDeepStrictEqual(object, old)) return old;
    const { metadata, status, ...rest } = object;
    const { metadata: _m, status: _s, ...before } = old;
    if (!isDeepStrictEqual(rest, before)) metadata.generation = (metadata.generation ?? 0) + 1;
    const going = metadata.deletionTimestamp !== undefined && (metadata.finalizers?.length ?? 0) === 0;
    const next = { ...rest, metadata, ...(status === undefined ? {} : { status }) };
    return this.#commit(going ? 'DELETED' : 'MODIFIED', plural, next, old, actor);
  }

  #admit(plural: string, object: Stored, old: Stored | undefined): void {
    const refusal = this.#rulesOf(plural).refusal?.(object, old);
    if (refusal !== undefined)
      throw new Refused(422, 'Invalid', `${plural} "${object.metadata.name}": ${refusal}`);
  }

  #rulesOf(plural: string): Rules {
    return this.#rules[plural] ?? nodeRules;
  }

  #commit(
    type: Commit['type'],
    plural: string,
    next: Stored,
    old: Stored | undefined,
    actor: string,
  ): Stored {
    const revision = ++this.revision;
    const { name } = next.metadata;
    const object = frozen({ ...next, metadata: { ...next.metadata, resourceVersion: String(revision) } });
    let objects = this.#objects.get(plural);
    if (objects === undefined) this.#objects.set(plural, (objects = new Map<string, Stored>()));
    if (type === 'DELETED') objects.delete(name);
    else objects.set(name, object);
    const commit: Commit = { revision, type, plural, name, object, old, actor };
    (this.history(plural) as Commit[]).push(commit);
    for (const listener of this.onCommit) listener(commit);
    return object;
  }
}

/** JSON merge patch of RFC 7386. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const plain = typeof target === 'object' && target !== null && !Array.isArray(target);
  const before = plain ? Object.entries(target) : [];
  const result = Object.fromEntries(
    before.filter(([key]) => (patch as Record<string, unknown>)[key] !== null),
  );
  for (const [key, value] of Object.entries(patch)) {
    if (value !== null) result[key] = mergePatch(result[key], value);
  }
  return result;
}

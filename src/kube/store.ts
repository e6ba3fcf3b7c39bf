import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../api/types.ts';
import type { List } from './client.ts';
import type { ChangeHandler } from './handlers.ts';
import { isNewer } from './version.ts';
import type { WatchEvent } from './watch.ts';

/**
 * What was known when a read began. A consistent read that shows anything older proves that the data was restored.
 */
export interface Mark<T> {
  objects: ReadonlyMap<string, T>;
  resourceVersion: string;
  deletedUIDs: ReadonlySet<string>;
}

/** Whether both are the same as JSON: a field that is undefined counts as absent. */
const isSame = (one: object, other: object): boolean =>
  isDeepStrictEqual(one, other) ||
  isDeepStrictEqual(JSON.parse(JSON.stringify(one)), JSON.parse(JSON.stringify(other)));

/**
 * Whether a consistent read shows less than was known when it began. An object that was unknown although its version
 * had passed had been deleted before.
 */
const isOlder = <T extends KubeObject>(found: T, known: T | undefined, seen: string): boolean =>
  known === undefined
    ? !isNewer(found.metadata.resourceVersion, seen)
    : isNewer(known.metadata.resourceVersion, found.metadata.resourceVersion);

/**
 * The objects of one resource by name. The newest version wins, whatever way it arrives, unless the API server's data
 * was restored.
 */
export class Store<T extends KubeObject> {
  /** Everything up to this version has been seen; `0` before the first list. */
  resourceVersion = '0';
  hasSynced = false;
  /** The API server's data is older than what is held here, so what is held no longer wins over what arrives. */
  distrusted = false;
  #objects = new Map<string, T>();
  #copy: ReadonlyMap<string, T> | undefined;
  /** Uids that the API server reported as absent before the watch delivered their deletion. */
  #deletedUIDs = new Set<string>();
  readonly #onChange: ChangeHandler<T>;

  /** @param onChange called for every object that is new, changed or gone, after the store shows it */
  constructor(onChange: ChangeHandler<T>) {
    this.#onChange = onChange;
  }

  get(name: string): T | undefined {
    return this.#objects.get(name);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  /** All current objects by name. The same Map is returned until an object changes. */
  get byName(): ReadonlyMap<string, T> {
    this.#copy ??= new Map(this.#objects);
    return this.#copy;
  }

  /** The object that was written last. */
  get newest(): T | undefined {
    let newest: T | undefined;
    for (const object of this.#objects.values())
      if (isNewer(object.metadata.resourceVersion, newest?.metadata.resourceVersion)) newest = object;
    return newest;
  }

  mark(): Mark<T> {
    return {
      objects: new Map(this.#objects),
      resourceVersion: this.resourceVersion,
      deletedUIDs: new Set(this.#deletedUIDs),
    };
  }

  /** Whether a consistent list that began at `mark` shows older data. */
  contradicts({ items, resourceVersion }: List<T>, mark: Mark<T>): boolean {
    return (
      isNewer(mark.resourceVersion, resourceVersion) ||
      // the restored data may have passed the old version by now, so objects are compared too
      items.some((item) => isOlder(item, mark.objects.get(item.metadata.name), mark.resourceVersion))
    );
  }

  /** Stores a consistent list that began at `mark`; the watch continues from its version. */
  replace({ items, resourceVersion }: List<T>, mark: Mark<T>): void {
    const old = this.#objects;
    const wentBack = this.distrusted;
    // objects that arrived during the list may be newer than it, and the watch will deliver their events
    const newer = (known: T | undefined, than: string | undefined) =>
      known !== undefined &&
      !wentBack &&
      known !== mark.objects.get(known.metadata.name) &&
      isNewer(known.metadata.resourceVersion, than);
    if (wentBack) this.#deletedUIDs.clear();
    for (const uid of mark.deletedUIDs) this.#deletedUIDs.delete(uid);
    const now = new Map<string, T>();
    for (const item of items) {
      const { name, uid = '' } = item.metadata;
      if (this.#deletedUIDs.has(uid)) continue;
      const known = old.get(name);
      now.set(name, known !== undefined && newer(known, item.metadata.resourceVersion) ? known : item);
    }
    for (const [name, known] of old)
      if (!now.has(name) && newer(known, resourceVersion)) now.set(name, known);
    this.#objects = now;
    this.#copy = undefined;
    this.resourceVersion = resourceVersion;
    this.hasSynced = true;
    this.distrusted = false;
    for (const [name, object] of now) {
      const known = old.get(name);
      // restored data may have other objects under the same versions
      const same = known?.metadata.resourceVersion === object.metadata.resourceVersion;
      if (!same || (wentBack && !isDeepStrictEqual(known, object))) this.#onChange(name, object, known);
    }
    for (const [name, known] of old) if (!now.has(name)) this.#onChange(name, undefined, known);
  }

  /**
   * Applies a watch event, which is not older than `resourceVersion`. Returns whether it was an event of an object.
   */
  take({ type, object }: WatchEvent<T>): boolean {
    const { name, uid = '', resourceVersion = '0' } = object.metadata;
    this.resourceVersion = resourceVersion;
    if (type === 'BOOKMARK') return false;
    const old = this.#objects.get(name);
    if (this.#deletedUIDs.has(uid)) {
      if (type === 'DELETED') this.#deletedUIDs.delete(uid);
    } else if (type === 'DELETED') {
      // learn() may have stored a successor of this name already
      if (old !== undefined && !isNewer(old.metadata.resourceVersion, resourceVersion))
        this.#remove(name, old);
    } else if (isNewer(resourceVersion, old?.metadata.resourceVersion)) {
      this.#set(name, object, old);
    }
    return true;
  }

  /**
   * Stores the answer to a write or a read, unless something newer is known. Of the same version the answer counts: for a minute
   * after a CRD was changed, the API server still sends open watches the object as the old CRD has it, without its new fields.
   */
  learn(object: T): void {
    const { name, uid = '', resourceVersion } = object.metadata;
    if (!this.hasSynced || this.#deletedUIDs.has(uid)) return;
    const old = this.#objects.get(name);
    // if the watch has passed this version and the object is absent, it was deleted since
    const known = old?.metadata.resourceVersion ?? this.resourceVersion;
    const otherwise =
      old !== undefined && old.metadata.resourceVersion === resourceVersion && !isSame(old, object);
    if (isNewer(resourceVersion, known) || otherwise) this.#set(name, object, old);
  }

  /**
   * Stores what a consistent read that began at `before` found under a name. Returns false when that is older than
   * what was known then; it is stored all the same, because the data was restored.
   */
  confirm(name: string, found: T | undefined, before: { object: T | undefined; seen: string }): boolean {
    if (!this.hasSynced) return true;
    const known = this.#objects.get(name);
    if (found === undefined) {
      // another object arrived during the read, perhaps after the answer
      if (known === undefined || known.metadata.uid !== before.object?.metadata.uid) return true;
      this.#deletedUIDs.add(known.metadata.uid ?? '');
      this.#remove(name, known);
      return true;
    }
    const { uid = '' } = found.metadata;
    if (!isOlder(found, before.object, before.seen)) {
      this.learn(found);
      return true;
    }
    this.#deletedUIDs.delete(uid);
    this.#set(name, found, known);
    return false;
  }

  #set(name: string, object: T, old: T | undefined): void {
    this.#objects.set(name, object);
    this.#copy = undefined;
    this.#onChange(name, object, old);
  }

  #remove(name: string, old: T): void {
    this.#objects.delete(name);
    this.#copy = undefined;
    this.#onChange(name, undefined, old);
  }
}

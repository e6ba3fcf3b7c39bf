import { createHash } from 'node:crypto';
import { bounded } from '../api/text.ts';
import type { Condition, KubeObject } from '../api/types.ts';
import { faultOf, type Log } from '../log.ts';
import { ApiError, type Client } from './client.ts';
import { EventPace } from './eventpace.ts';
import { events, type Event } from './resources.ts';
import { pause } from './wait.ts';

export interface EventRecorderOptions {
  client: Client;
  /** `overlaynet-operator` */
  component: string;
  /** The process that reports: the name of its pod or node. */
  instance: string;
  log: Log;
  /** Limits requests to the API server: at most `burst` at once, then one each `refillMs`. */
  burst?: number;
  refillMs?: number;
  /** The pace of an object that flaps, as in EventPace. */
  repeatMs?: number;
  forgetMs?: number;
}

/** What an Event says of a condition. */
export type News = Pick<Condition, 'type' | 'reason' | 'message'>;

/** Equal events, which the API server stores as one Event with a count. */
interface Told {
  event: Event;
  /** Whether the API server has the Event, perhaps with a lower count. */
  created: boolean;
}

/** Tokens: at first `most`, then one more each `refillMs`, up to that many. */
class Bucket {
  readonly #most: number;
  readonly #refillMs: number;
  #tokens: number;
  #filledAt = performance.now();

  constructor(most: number, refillMs: number) {
    this.#most = most;
    this.#refillMs = refillMs;
    this.#tokens = most;
  }

  /** Takes a token; false where there is none. */
  take(): boolean {
    const refilled = Math.floor((performance.now() - this.#filledAt) / this.#refillMs);
    this.#tokens = Math.min(this.#most, this.#tokens + refilled);
    this.#filledAt += refilled * this.#refillMs;
    if (this.#tokens === 0) return false;
    this.#tokens--;
    return true;
  }

  /** Until the next token comes. */
  get waitMs(): number {
    return Math.max(1, this.#filledAt + this.#refillMs - performance.now());
  }
}

/**
 * Events that wait to be sent, each once, however often it occurs: new ones go first. Beyond `most` the oldest are
 * dropped, repeated ones first.
 */
class Waiting {
  readonly #most: number;
  readonly #new = new Set<Told>();
  readonly #repeated = new Set<Told>();

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#new.size + this.#repeated.size;
  }

  /** @param isNew it goes before those that are not */
  add(told: Told, isNew: boolean): void {
    if (isNew) this.#repeated.delete(told);
    if (this.#new.has(told)) return;
    (isNew ? this.#new : this.#repeated).add(told);
    if (this.size > this.#most && takeFirst(this.#repeated) === undefined) takeFirst(this.#new);
  }

  /** Takes the next one out. */
  take(): Told | undefined {
    return takeFirst(this.#new) ?? takeFirst(this.#repeated);
  }
}

function takeFirst(from: Set<Told>): Told | undefined {
  const [first] = from;
  if (first !== undefined) from.delete(first);
  return first;
}

/** The API server deletes an Event after an hour, so counting starts again with a new one before that. */
const memory = { objects: 1000, keys: 1000, waiting: 1000, ms: 50 * 60_000 };

const timeoutMs = 5000;

const now = () => new Date().toISOString().replace(/\.\d+Z/, 'Z');

/**
 * Records Kubernetes Events, as `kubectl describe` and `kubectl get events` show them. Events of cluster-scoped
 * objects are in the namespace `default`. Events inform and must do no harm, so they are sent in the background, and
 * the oldest are dropped when too many wait; EventPace holds those of an object that flaps.
 */
export class EventRecorder {
  readonly #options: Required<EventRecorderOptions>;
  /** By what makes events equal; the one that occurred last comes last. */
  readonly #told = new Map<string, Told>();
  readonly #waiting = new Waiting(memory.waiting);
  readonly #stopped = new AbortController();
  #sending: Promise<void> | undefined;
  readonly #all: Bucket;
  readonly #paces = new Map<string, EventPace<Told>>();

  constructor(options: EventRecorderOptions) {
    this.#options = { burst: 25, refillMs: 5000, repeatMs: 60_000, forgetMs: 10 * 60_000, ...options };
    this.#all = new Bucket(this.#options.burst, this.#options.refillMs);
  }

  /** Records that a condition of an object has a new reason. Returns at once and never throws. */
  event(object: KubeObject, type: Event['type'], condition: News): void {
    const { reason } = condition;
    // longer messages are cut to the limit of events.k8s.io/v1: core/v1, which is used here, has no limit, and our
    // memory would hold the text
    const message = bounded(condition.message);
    const key = [object.kind, object.metadata.name, object.metadata.uid, type, reason, message].join('\0');
    let told = this.#told.get(key);
    if (told !== undefined && Date.now() - Date.parse(told.event.firstTimestamp) < memory.ms) {
      told.event.count++;
      told.event.lastTimestamp = now();
    } else {
      told = { event: this.#compose(object, type, reason, message), created: false };
    }
    this.#told.delete(key);
    this.#told.set(key, told);
    this.#forgetOldest();
    if (this.#stopped.signal.aborted) return;
    this.#paceOf(object).occurs(condition.type, reason, told);
  }

  /** Resolves when all events so far are sent, dropped, or held by the pace of their object. */
  async onIdle(): Promise<void> {
    await this.#sending;
  }

  /** Sends what the rate allows at once, held events too, and drops the rest. */
  async stop(): Promise<void> {
    for (const pace of this.#paces.values()) pace.flush();
    this.#stopped.abort();
    await this.#sending;
  }

  /** An Event that waits or is held is sent all the same. If it occurs again, its count begins anew. */
  #forgetOldest(): void {
    const [oldest] = this.#told.keys();
    if (this.#told.size > memory.keys && oldest !== undefined) this.#told.delete(oldest);
  }

  #write(told: Told, isNew: boolean): void {
    this.#waiting.add(told, isNew);
    this.#sending ??= this.#send();
  }

  async #send(): Promise<void> {
    try {
      while (this.#waiting.size > 0) {
        if (!(await this.#takeToken())) return;
        const told = this.#waiting.take();
        if (told === undefined) return;
        const recorded = await this.#tell(told);
        if (!recorded && this.#stopped.signal.aborted) return;
      }
    } finally {
      this.#sending = undefined;
    }
  }

  /** Waits for the rate limit. False when the recorder was stopped before that. */
  async #takeToken(): Promise<boolean> {
    while (!this.#all.take()) {
      await pause(this.#all.waitMs, this.#stopped.signal);
      if (this.#stopped.signal.aborted) return false;
    }
    return true;
  }

  #paceOf({ kind = '', metadata: { name, uid = '' } }: KubeObject): EventPace<Told> {
    const object = [kind, name, uid].join('\0');
    const { repeatMs, forgetMs } = this.#options;
    const write = this.#write.bind(this);
    const pace = this.#paces.get(object) ?? new EventPace({ repeatMs, forgetMs, write });
    this.#paces.delete(object);
    this.#paces.set(object, pace);
    const [oldest] = this.#paces;
    if (this.#paces.size > memory.objects && oldest !== undefined) {
      oldest[1].flush();
      this.#paces.delete(oldest[0]);
    }
    return pace;
  }

  async #tell(told: Told): Promise<boolean> {
    const { client, log } = this.#options;
    const { event } = told;
    const resource = events(event.metadata.namespace);
    const { name } = event.metadata;
    try {
      if (told.created) {
        const { count, lastTimestamp } = event;
        await client.patch(resource, name, { count, lastTimestamp }, { type: 'merge', timeoutMs });
      } else {
        await client.create(resource, event, { timeoutMs });
        told.created = true;
      }
      return true;
    } catch (error) {
      // the Event was deleted early, so the next equal event makes a new one
      if (error instanceof ApiError && error.status === 404) told.created = false;
      const { reason, involvedObject } = event;
      log.debug('event not recorded', {
        ...faultOf(`events/${name}`, error, 'create'),
        of: `${reason} ${involvedObject.name}`,
      });
      return false;
    }
  }

  #compose(object: KubeObject, type: Event['type'], reason: string, message: string): Event {
    const { component, instance } = this.#options;
    const { name, uid, namespace } = object.metadata as KubeObject['metadata'] & { namespace?: string };
    const time = now();
    const unique = createHash('sha256').update(
      [uid, type, reason, message, Date.now(), Math.random()].join('\0'),
    );
    return {
      metadata: {
        name: `${name.slice(0, 200)}.${unique.digest('hex').slice(0, 16)}`,
        namespace: namespace ?? 'default',
      },
      involvedObject: {
        ...(object.apiVersion === undefined ? {} : { apiVersion: object.apiVersion }),
        ...(object.kind === undefined ? {} : { kind: object.kind }),
        ...(uid === undefined ? {} : { uid }),
        ...(namespace === undefined ? {} : { namespace }),
        name,
      },
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: time,
      lastTimestamp: time,
      source: { component, host: instance },
      reportingComponent: component,
      reportingInstance: instance,
    };
  }
}

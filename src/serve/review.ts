import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Quota } from './quota.ts';
import type { Client } from '../kube/client.ts';
import { messageOf } from '../error.ts';

/** A user, as the API server describes the owner of a token. */
export interface User {
  username: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
}

/** The API server gave no answer. The request is refused then. */
export class ReviewError extends Error {
  override name = 'ReviewError';
}

/**
 * Too many reviews are under way, so the API server was not asked. Clients with fewer requests at once are still
 * served.
 */
export class CrowdedError extends ReviewError {
  override name = 'CrowdedError';
}

/** How long answers are kept and delayed, in ms. */
interface Times {
  /** A "yes" counts this long, so a withdrawn token is accepted at most this long. */
  allowed: number;
  refused: number;
  /** Any answer but "yes" is delayed this long, and takes up one of the client's reviews meanwhile. */
  heldBack: number;
}

const times: Times = { allowed: 30_000, refused: 5_000, heldBack: 1_000 };

/** Shorter than the client's own time-out, because a user waits for the answer. */
const timeoutMs = 5_000;

/**
 * Clients without any right must not cause endless requests to the API server, nor crowd out clients that have
 * rights. So each address has only a few reviews at once, and a review that does not end in "yes" occupies its place
 * for `heldBack`.
 */
const limits = {
  /**
   * Answers kept of each kind. "Yes" and "no" are kept apart, so that invalid tokens do not push out good answers.
   */
  remembered: 1_000,
  /** Reviews at once for one address, or one user. */
  each: 4,
  /**
   * Requests that wait for the same review. Only a client that does not wait for its answers reaches this limit; more
   * would cost memory.
   */
  waiting: 100,
  /** Reviews at once for all clients together; fewer than the connections that the Kubernetes client has. */
  underWay: 32,
};

interface Answer {
  value: unknown;
  until: number;
}

/** Asks the API server for TokenReviews and SubjectAccessReviews, and keeps the answers for a while. */
export class Reviews {
  readonly #client: Pick<Client, 'raw'>;
  readonly #times: Times;
  readonly #audience: string | undefined;
  // keyed by a hash of the question, so that no token is stored
  readonly #allowed = new Map<string, Answer>();
  readonly #refused = new Map<string, Answer>();
  readonly #pending = new Map<string, { answer: Promise<unknown>; waiting: number }>();
  readonly #places = new Quota(limits.each);
  #underWay = 0;

  /** @param own `audience`: tokens for it are accepted, besides those for the API server */
  constructor(client: Pick<Client, 'raw'>, own: Partial<Times> & { audience?: string } = {}) {
    const { audience, ...some } = own;
    this.#client = client;
    this.#times = { ...times, ...some };
    this.#audience = audience;
  }

  /**
   * The user that a token belongs to; undefined if the API server does not know the token.
   * @param from the client's address
   * @throws ReviewError
   */
  authenticate(token: string, from: string): Promise<User | undefined> {
    return this.#remembered(['token', token], from, async () => {
      // for a token of another audience the API server needs that audience; otherwise it reports that the token has no user
      const audience = audiencesOf(token).includes(this.#audience) ? this.#audience : undefined;
      const audiences = audience === undefined ? undefined : [audience];
      const status = await this.#review<TokenStatus>('authentication', 'TokenReview', { token, audiences });
      // one that knows no audiences would leave them out of its answer
      const isFor = audience === undefined || status.audiences?.includes(audience) === true;
      return status.authenticated === true && isFor ? status.user : undefined;
    });
  }

  /**
   * Whether a user may use a path.
   * @param verb the HTTP method in lower case
   * @throws ReviewError
   */
  allows(user: User, verb: string, path: string): Promise<boolean> {
    const { username, uid, groups, extra } = user;
    return this.#remembered(['access', JSON.stringify(user), verb, path], `user ${username}`, async () => {
      const status = await this.#review<{ allowed?: boolean }>('authorization', 'SubjectAccessReview', {
        user: username,
        uid,
        groups,
        extra,
        nonResourceAttributes: { path, verb },
      });
      return status.allowed === true;
    });
  }

  async #remembered<T>(question: string[], client: string, ask: () => Promise<T>): Promise<T> {
    const key = createHash('sha256').update(JSON.stringify(question)).digest('base64');
    for (const answers of [this.#allowed, this.#refused]) {
      const known = answers.get(key);
      if (known !== undefined && known.until > Date.now()) return known.value as T;
    }
    const pending = this.#pending.get(key) ?? this.#ask(key, client, ask);
    if (pending.waiting >= limits.waiting) throw new CrowdedError('too many wait for the same answer');
    pending.waiting++;
    return pending.answer as Promise<T>;
  }

  /**
   * Starts a review.
   * @throws CrowdedError, ReviewError
   */
  #ask(key: string, client: string, ask: () => Promise<unknown>) {
    // a renewal of an expired "yes" does not count against the address, which many users may share
    if (!this.#allowed.has(key)) {
      if (this.#places.full(client)) {
        throw new CrowdedError(`${limits.each} reviews for ${client} are under way or were refused just now`);
      }
      if (this.#underWay >= limits.underWay) throw new ReviewError('too many are under way');
    }
    this.#places.take(client);
    const answer = this.#asked(key, ask).finally(() => {
      this.#pending.delete(key);
      this.#places.release(client);
    });
    const pending = { answer, waiting: 0 };
    this.#pending.set(key, pending);
    return pending;
  }

  async #asked(key: string, ask: () => Promise<unknown>): Promise<unknown> {
    let yes = false;
    try {
      const value = await ask();
      yes = value !== undefined && value !== false;
      if (yes) {
        keep(this.#allowed, key, { value, until: Date.now() + this.#times.allowed });
      } else {
        this.#allowed.delete(key);
        keep(this.#refused, key, { value, until: Date.now() + this.#times.refused });
      }
      return value;
    } finally {
      if (!yes) await sleep(this.#times.heldBack, undefined, { ref: false });
    }
  }

  async #review<S>(group: string, kind: string, spec: object): Promise<S> {
    this.#underWay++;
    try {
      const answer = await this.#client.raw(
        {
          what: `create ${kind}`,
          method: 'POST',
          path: `/apis/${group}.k8s.io/v1/${kind.toLowerCase()}s`,
          body: { apiVersion: `${group}.k8s.io/v1`, kind, spec },
        },
        { timeoutMs },
      );
      return (JSON.parse(answer) as { status: S }).status;
    } catch (cause) {
      throw new ReviewError(messageOf(cause), { cause });
    } finally {
      this.#underWay--;
    }
  }
}

interface TokenStatus {
  authenticated?: boolean;
  user?: User;
  audiences?: string[];
}

/** The audience that the token itself names. It only decides what the API server is asked; it is not trusted. */
function audiencesOf(token: string): unknown[] {
  try {
    const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
    const { aud } = JSON.parse(claims) as { aud?: unknown };
    return Array.isArray(aud) ? aud : [aud];
  } catch {
    return [];
  }
}

/** Adds an answer; beyond `limits.remembered` the oldest answer is dropped. */
function keep(answers: Map<string, Answer>, key: string, answer: Answer): void {
  answers.delete(key);
  answers.set(key, answer);
  const [oldest] = answers.keys();
  if (answers.size > limits.remembered && oldest !== undefined) answers.delete(oldest);
}

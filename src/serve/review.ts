import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Quota } from './quota.ts';
import type { Client } from '../kube/client.ts';
import { messageOf } from '../kube/error.ts';

/** Who the API server says that a token belongs to. */
export interface User {
  username: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
}

/** The API server's answer could not be had: nobody is let in by that. */
export class ReviewError extends Error {
  override name = 'ReviewError';
}

/** Not even asked, for want of room: whoever asks less at once is served. */
export class CrowdedError extends ReviewError {
  override name = 'CrowdedError';
}

/** In ms. */
interface Times {
  /** How long an answer counts: a token that is withdrawn is let in no longer than this. */
  allowed: number;
  refused: number;
  /** How long all but a yes is held back, and with it the place of whoever asked. */
  heldBack: number;
}

const times: Times = { allowed: 30_000, refused: 5_000, heldBack: 1_000 };

/** A user who waits is not to wait for the client's own time-out. */
const timeoutMs = 5_000;

/**
 * Whoever has no right at all shall neither make us ask the API server without end nor be in the way of who has: an
 * address has its own few reviews at once, and each that does not end in a yes keeps its place for `heldBack`.
 */
const limits = {
  /** Yes and no apart: garbage does not push out good answers. */
  remembered: 1_000,
  /** Of one address, or one user. */
  each: 4,
  /** For one review. More come only from who does not wait for answers, and would fill our memory. */
  waiting: 100,
  /** Of all together, a part of the connections that the client has. */
  underWay: 32,
};

interface Answer {
  value: unknown;
  until: number;
}

/** TokenReviews and SubjectAccessReviews, their answers kept for a while. */
export class Reviews {
  readonly #client: Pick<Client, 'raw'>;
  readonly #times: Times;
  readonly #audience: string | undefined;
  // by a hash of the question, so that no token is kept
  readonly #allowed = new Map<string, Answer>();
  readonly #refused = new Map<string, Answer>();
  readonly #pending = new Map<string, { answer: Promise<unknown>; waiting: number }>();
  readonly #places = new Quota(limits.each);
  #underWay = 0;

  /** @param own `audience`: tokens for it are taken, beside those for the API server */
  constructor(client: Pick<Client, 'raw'>, own: Partial<Times> & { audience?: string } = {}) {
    const { audience, ...some } = own;
    this.#client = client;
    this.#times = { ...times, ...some };
    this.#audience = audience;
  }

  /**
   * undefined where the token is nobody's.
   * @param from the address that it came from
   * @throws ReviewError
   */
  authenticate(token: string, from: string): Promise<User | undefined> {
    return this.#remembered(['token', token], from, async () => {
      // the API server says of a token of another audience that it is nobody's, unless it is told which one
      const audience = audiencesOf(token).includes(this.#audience) ? this.#audience : undefined;
      const audiences = audience === undefined ? undefined : [audience];
      const status = await this.#review<TokenStatus>('authentication', 'TokenReview', { token, audiences });
      // one that knows no audiences would leave them out of its answer
      const isFor = audience === undefined || status.audiences?.includes(audience) === true;
      return status.authenticated === true && isFor ? status.user : undefined;
    });
  }

  /** @param verb of HTTP, in small letters @throws ReviewError */
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

  async #remembered<T>(question: string[], who: string, ask: () => Promise<T>): Promise<T> {
    const key = createHash('sha256').update(JSON.stringify(question)).digest('base64');
    for (const answers of [this.#allowed, this.#refused]) {
      const known = answers.get(key);
      if (known !== undefined && known.until > Date.now()) return known.value as T;
    }
    const pending = this.#pending.get(key) ?? this.#ask(key, who, ask);
    if (pending.waiting >= limits.waiting) throw new CrowdedError('too many wait for the same answer');
    pending.waiting++;
    return pending.answer as Promise<T>;
  }

  /** @throws CrowdedError, ReviewError */
  #ask(key: string, who: string, ask: () => Promise<unknown>) {
    // whose yes only got old does not queue with all that share his address
    if (!this.#allowed.has(key)) {
      if (this.#places.full(who)) {
        throw new CrowdedError(`${limits.each} reviews for ${who} are under way or were refused just now`);
      }
      if (this.#underWay >= limits.underWay) throw new ReviewError('too many are under way');
    }
    this.#places.take(who);
    const answer = this.#asked(key, ask).finally(() => {
      this.#pending.delete(key);
      this.#places.release(who);
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

/** For whom a token says that it is. It decides only what the API server is asked: nothing here is believed. */
function audiencesOf(token: string): unknown[] {
  try {
    const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
    const { aud } = JSON.parse(claims) as { aud?: unknown };
    return Array.isArray(aud) ? aud : [aud];
  } catch {
    return [];
  }
}

/** Of more than `limits.remembered` the oldest go. */
function keep(answers: Map<string, Answer>, key: string, answer: Answer): void {
  answers.delete(key);
  answers.set(key, answer);
  const [oldest] = answers.keys();
  if (answers.size > limits.remembered && oldest !== undefined) answers.delete(oldest);
}

import { createHash } from 'node:crypto';
import type { Client } from './client.ts';
import { messageOf } from './error.ts';

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

/** How long answers count, in ms: a token that is withdrawn is let in no longer than `allowed`. */
interface Lifetimes {
  allowed: number;
  refused: number;
}

const lifetimes: Lifetimes = { allowed: 30_000, refused: 5_000 };

/** A user who waits is not to wait for the client's own time-out. */
const timeoutMs = 5_000;

/** Whoever has no right at all shall not make us ask the API server without end. */
const limits = { remembered: 1_000, underWay: 32 };

/** TokenReviews and SubjectAccessReviews, their answers kept for a while. */
export class Reviews {
  readonly #client: Pick<Client, 'raw'>;
  readonly #lifetimes: Lifetimes;
  /** By a hash, so that no token is kept; in the order of asking. */
  readonly #answers = new Map<string, { answer: Promise<unknown>; until: number }>();
  #underWay = 0;

  constructor(client: Pick<Client, 'raw'>, own: Lifetimes = lifetimes) {
    this.#client = client;
    this.#lifetimes = own;
  }

  /** undefined where the token is nobody's. @throws ReviewError */
  authenticate(token: string): Promise<User | undefined> {
    return this.#remembered(['token', token], async () => {
      const status = await this.#review<{ authenticated?: boolean; user?: User }>(
        'authentication',
        'TokenReview',
        {
          token,
        },
      );
      return status.authenticated === true ? status.user : undefined;
    });
  }

  /** @param verb of HTTP, in small letters @throws ReviewError */
  allows(user: User, verb: string, path: string): Promise<boolean> {
    return this.#remembered(['access', JSON.stringify(user), verb, path], async () => {
      const { username, uid, groups, extra } = user;
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

  #remembered<T>(of: string[], ask: () => Promise<T>): Promise<T> {
    const key = createHash('sha256').update(JSON.stringify(of)).digest('base64');
    const known = this.#answers.get(key);
    if (known !== undefined && known.until > Date.now()) return known.answer as Promise<T>;
    const entry = { answer: ask(), until: Infinity };
    this.#answers.delete(key);
    this.#answers.set(key, entry);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= limits.remembered) break;
      this.#answers.delete(oldest);
    }
    entry.answer.then(
      (value) => {
        const yes = value !== undefined && value !== false;
        entry.until = Date.now() + (yes ? this.#lifetimes.allowed : this.#lifetimes.refused);
      },
      () => {
        if (this.#answers.get(key) === entry) this.#answers.delete(key);
      },
    );
    return entry.answer;
  }

  async #review<S>(group: string, kind: string, spec: object): Promise<S> {
    if (this.#underWay >= limits.underWay) throw new ReviewError(`${kind}: too many are under way`);
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

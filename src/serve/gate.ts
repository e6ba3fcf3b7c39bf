import type { IncomingMessage } from 'node:http';
import { CrowdedError, type User } from './review.ts';

/** What review.ts asks the API server. Each throws where there is no answer: CrowdedError for want of room. */
export interface Reviewer {
  /** undefined where the token is nobody's. @param from the address that it came from */
  authenticate(token: string, from: string): Promise<User | undefined>;
  allows(user: User, verb: string, path: string): Promise<boolean>;
}

/** What may be said to whom by a token's characters alone: RFC 6750, section 2.1. */
const bearer = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

/** Why a request is not let in: 401, 403, 429 for too many at once, or 503 while the API server cannot be asked. */
export class Refusal {
  readonly status: number;
  readonly error: string;
  readonly headers: Record<string, string>;

  constructor(status: number, error: string, headers: Record<string, string> = {}) {
    this.status = status;
    this.error = error;
    this.headers = headers;
  }
}

/**
 * The path that a ClusterRole must name for a path of ours. Kubernetes lets every user whom it knows get `/api/*`
 * (ClusterRole system:discovery), so that a right to `/api/v1/containers` would be everybody's.
 */
export const rightOf = (path: string): string => (path.startsWith('/api/') ? `/overlay-master${path}` : path);

const challenge = 'Bearer realm="overlaynet"';

/** Lets in who brings a token of somebody who may. */
export class Gate {
  readonly #reviewer: Reviewer;

  constructor(reviewer: Reviewer) {
    this.#reviewer = reviewer;
  }

  /** Who asks; a Refusal where nobody can tell. */
  async authenticate({ headers, socket }: IncomingMessage): Promise<User | Refusal> {
    const { authorization } = headers;
    if (authorization === undefined) {
      const how = 'kubectl create token -n overlaynet-system overlaynet-viewer gives one';
      return new Refusal(401, `a bearer token is needed: ${how}`, { 'www-authenticate': challenge });
    }
    const token = bearer.exec(authorization)?.[1];
    try {
      const from = socket.remoteAddress ?? '';
      const user = token === undefined ? undefined : await this.#reviewer.authenticate(token, from);
      const headers = { 'www-authenticate': `${challenge}, error="invalid_token"` };
      return user ?? new Refusal(401, 'the API server does not know this token', headers);
    } catch (error) {
      return unavailable(error);
    }
  }

  /** undefined where he may. */
  async authorize(user: User, method: string, path: string): Promise<Refusal | undefined> {
    const verb = method.toLowerCase();
    const right = rightOf(path);
    try {
      if (await this.#reviewer.allows(user, verb, right)) return undefined;
    } catch (error) {
      return unavailable(error);
    }
    const role =
      verb === 'post'
        ? 'overlaynet-operator-admin'
        : path.endsWith('/containers')
          ? 'overlaynet-inspector'
          : 'overlaynet-viewer';
    return new Refusal(
      403,
      `user ${user.username} may not ${verb} ${right}: bind the ClusterRole ${role} to that user`,
    );
  }
}

const unavailable = (error: unknown): Refusal => {
  const why = `who asks could not be reviewed: ${error instanceof Error ? error.message : String(error)}`;
  return error instanceof CrowdedError
    ? new Refusal(429, why, { 'retry-after': '1' })
    : new Refusal(503, why, { 'retry-after': '5' });
};

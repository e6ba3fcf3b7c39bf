import type { IncomingMessage } from 'node:http';
import { CrowdedError, type User } from './review.ts';
import { messageOf } from '../error.ts';

/**
 * The questions to the API server (see review.ts). Each throws without an answer: CrowdedError when there is no room.
 */
export interface Reviewer {
  /**
   * The user that a token belongs to; undefined if the API server does not know it.
   * @param from the client's address
   */
  authenticate(token: string, from: string): Promise<User | undefined>;
  allows(user: User, verb: string, path: string): Promise<boolean>;
}

/** Syntax of a bearer token in the Authorization header: RFC 6750, section 2.1. */
const bearer = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

/** Why a request is refused: 401, 403, 429 for too many at once, or 503 while the API server cannot be asked. */
export class HTTPRefusal {
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
 * The path that a ClusterRole must name for a path of ours. Kubernetes lets every authenticated user get `/api/*`
 * (ClusterRole system:discovery), so that a right to `/api/v1/containers` would be everybody's.
 */
export const rightOf = (path: string): string => (path.startsWith('/api/') ? `/overlay-master${path}` : path);

const challenge = 'Bearer realm="overlaynet"';

/** Admits requests whose bearer token belongs to an authorised user. */
export class Gate {
  readonly #reviewer: Reviewer;

  constructor(reviewer: Reviewer) {
    this.#reviewer = reviewer;
  }

  /** Finds the user who sent the request, or says why the request is refused. */
  async authenticate({ headers, socket }: IncomingMessage): Promise<User | HTTPRefusal> {
    const { authorization } = headers;
    if (authorization === undefined) {
      const how = 'kubectl create token -n overlaynet-system overlaynet-viewer gives one';
      return new HTTPRefusal(401, `a bearer token is needed: ${how}`, { 'www-authenticate': challenge });
    }
    const token = bearer.exec(authorization)?.[1];
    try {
      const from = socket.remoteAddress ?? '';
      const user = token === undefined ? undefined : await this.#reviewer.authenticate(token, from);
      const headers = { 'www-authenticate': `${challenge}, error="invalid_token"` };
      return user ?? new HTTPRefusal(401, 'the API server does not know this token', headers);
    } catch (error) {
      return unavailable(error);
    }
  }

  /** Returns undefined when the user may make the request. */
  async authorize(user: User, method: string, path: string): Promise<HTTPRefusal | undefined> {
    const verb = method.toLowerCase();
    const right = rightOf(path);
    try {
      if (await this.#reviewer.allows(user, verb, right)) return undefined;
    } catch (error) {
      return unavailable(error);
    }
    return new HTTPRefusal(
      403,
      `user ${user.username} may not ${verb} ${right}: bind the ClusterRole ${roleOf(verb, path)} to that user`,
    );
  }
}

function roleOf(verb: string, path: string): string {
  if (verb === 'post')
    return /\/(send|packet|probe)$/.test(path) ? 'overlaynet-prober' : 'overlaynet-operator-admin';
  return /\/(containers|kernel|trace|route|peers)$/.test(path) ? 'overlaynet-inspector' : 'overlaynet-viewer';
}

const unavailable = (error: unknown): HTTPRefusal => {
  const why = `the API server could not review the request: ${messageOf(error)}`;
  return error instanceof CrowdedError
    ? new HTTPRefusal(429, why, { 'retry-after': '1' })
    : new HTTPRefusal(503, why, { 'retry-after': '5' });
};

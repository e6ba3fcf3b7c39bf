import type { Reviewer } from '../../../src/serve/gate.ts';
import { json, text, type Posted } from '../../../src/serve/http.ts';
import { CrowdedError } from '../../../src/serve/review.ts';

/** Tokens that the API server gives no answer about. */
const failures: Record<string, Error> = {
  away: new Error('create TokenReview: connect ECONNREFUSED'),
  crowded: new CrowdedError('4 reviews are under way'),
};
/** `viewer` may get and head /state alone. */
export const reviewer: Reviewer = {
  authenticate: (token) =>
    failures[token] !== undefined
      ? Promise.reject(failures[token])
      : Promise.resolve(['viewer', 'other', 'unlucky'].includes(token) ? { username: token } : undefined),
  allows: ({ username }, verb, path) =>
    username === 'unlucky'
      ? Promise.reject(new Error('create SubjectAccessReview: no answer within 5000 ms'))
      : Promise.resolve(
          (username === 'viewer' && path === '/state' && ['get', 'head'].includes(verb)) ||
            (username === 'other' && path === '/take' && verb === 'post'),
        ),
};
export const routes = {
  '/state': () => json(200, { a: 1 }),
  '/secret': () => json(200, {}),
  '/healthz': () => text(200, 'ok'),
  '/readyz': () => text(503, 'not yet'),
  '/take': {
    post: ({ body, by }: Posted) => json(200, { body, by }),
  },
};
export const secure = { certificate: { commonName: 'overlaynet-agent', names: ['node2'] }, reviewer };

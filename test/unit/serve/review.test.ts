import { jest } from '@jest/globals';
import { setImmediate as turn } from 'node:timers/promises';
import { CrowdedError, Reviews } from '../../../src/serve/review.ts';
import type { Client } from '../../../src/kube/client.ts';

/** An API server that knows `good` alone; `asked` has the kinds of what it was asked. */
function apiServer() {
  const asked: string[] = [];
  const pending: (() => void)[] = [];
  let held = false;
  let good = 'good';
  const raw: Client['raw'] = async ({ body }) => {
    const { kind, spec } = body as { kind: string; spec: { token?: string; user?: string } };
    asked.push(kind);
    if (held) await new Promise<void>((resolve) => pending.push(resolve));
    if (spec.token?.startsWith('broken') === true) throw new Error('connect ECONNREFUSED');
    const status =
      kind === 'TokenReview'
        ? { authenticated: spec.token?.startsWith(good), user: { username: spec.token } }
        : { allowed: spec.user === 'good' };
    return JSON.stringify({ status });
  };
  return {
    asked,
    client: { raw },
    hold: () => (held = true),
    withdraw: () => (good = 'none is'),
    release: () => {
      held = false;
      for (const resolve of pending) resolve();
    },
  };
}
const here = '127.0.0.1';

/** Lets a test decide how much time has passed for answers that are kept. */
function clock() {
  let now = Date.now();
  jest.spyOn(Date, 'now').mockImplementation(() => now);
  return { pass: (ms: number) => (now += ms) };
}
afterEach(() => {
  jest.restoreAllMocks();
});

test('an answer is kept for a while, a refusal for a shorter one', async () => {
  const { client, asked } = apiServer();
  const { pass } = clock();
  const reviews = new Reviews(client, { allowed: 30_000, refused: 500, heldBack: 0 });
  for (const token of ['good', 'good', 'bad', 'bad']) await reviews.authenticate(token, here);
  expect(asked).toHaveLength(2);
  pass(600);
  expect(await reviews.authenticate('good', here)).toEqual({ username: 'good' });
  expect(asked).toHaveLength(2);
  expect(await reviews.authenticate('bad', here)).toBeUndefined();
  expect(asked).toHaveLength(3);
});

test('a permission is reviewed again after its time', async () => {
  const { client, asked } = apiServer();
  const { pass } = clock();
  const reviews = new Reviews(client, { allowed: 30, refused: 30, heldBack: 0 });
  await reviews.authenticate('good', here);
  pass(60);
  await reviews.authenticate('good', here);
  expect(asked).toHaveLength(2);
});

test('a permission is for one user, one verb and one path', async () => {
  const { client, asked } = apiServer();
  const reviews = new Reviews(client);
  const good = { username: 'good' };
  expect(await reviews.allows(good, 'get', '/a')).toBe(true);
  expect(await reviews.allows(good, 'get', '/a')).toBe(true);
  expect(asked).toHaveLength(1);
  await reviews.allows(good, 'head', '/a');
  await reviews.allows(good, 'get', '/b');
  await reviews.allows({ ...good, groups: ['g'] }, 'get', '/a');
  expect(await reviews.allows({ username: 'other' }, 'get', '/a')).toBe(false);
  expect(asked).toHaveLength(5);
});

test('no answer is an error, and is not kept', async () => {
  const { client, asked } = apiServer();
  const reviews = new Reviews(client, { allowed: 30, refused: 30, heldBack: 0 });
  for (let at = 0; at < 2; at++)
    await expect(reviews.authenticate('broken', here)).rejects.toThrow('ECONNREFUSED');
  expect(asked).toHaveLength(2);
});

test('identical concurrent questions are asked once; at most a hundred wait for the answer', async () => {
  const { client, asked, hold, release } = apiServer();
  const reviews = new Reviews(client);
  hold();
  const same = Array.from({ length: 101 }, () => reviews.authenticate('good', here));
  await expect(same.pop()).rejects.toThrow(CrowdedError);
  expect(asked).toHaveLength(1);
  release();
  expect(new Set(await Promise.all(same))).toEqual(new Set([{ username: 'good' }]));
});

test('an address has four reviews at once, all addresses together 32; more are not asked at all', async () => {
  const { client, asked, hold, release } = apiServer();
  const reviews = new Reviews(client);
  hold();
  const fromOne = Array.from({ length: 5 }, (_, index) => reviews.authenticate(`good${index}`, here));
  await expect(fromOne.pop()).rejects.toThrow(CrowdedError);
  expect(asked).toHaveLength(4);
  const others = Array.from({ length: 29 }, (_, index) =>
    reviews.authenticate(`good-${index}`, `192.0.2.${index}`),
  );
  await expect(others.pop()).rejects.toThrow('too many are under way');
  expect(asked).toHaveLength(32);
  release();
  await Promise.all([...fromOne, ...others]);
  expect(await reviews.authenticate('good4', here)).toEqual({ username: 'good4' });
});

test('a user has four reviews at once too', async () => {
  const { client, asked, hold, release } = apiServer();
  const reviews = new Reviews(client);
  hold();
  const paths = Array.from({ length: 5 }, (_, index) =>
    reviews.allows({ username: 'good' }, 'get', `/${index}`),
  );
  await expect(paths.pop()).rejects.toThrow(CrowdedError);
  const other = reviews.allows({ username: 'other' }, 'get', '/');
  expect(asked).toHaveLength(5);
  release();
  expect(await Promise.all(paths)).toEqual([true, true, true, true]);
  expect(await other).toBe(false);
});

test.each(['bad', 'broken'])(
  'what %s tokens come to is held back, and keeps its place so long',
  async (token) => {
    const { client, asked } = apiServer();
    const reviews = new Reviews(client, { allowed: 1_000, refused: 1_000, heldBack: 1_000 });
    const start = performance.now();
    const first = Promise.allSettled(
      Array.from({ length: 4 }, (_, index) => reviews.authenticate(`${token}${index}`, here)),
    );
    // the API server has answered all four after a turn of the event loop
    await turn();
    await expect(reviews.authenticate(`${token}4`, here)).rejects.toThrow(CrowdedError);
    expect(asked).toHaveLength(4);
    await first;
    expect(performance.now() - start).toBeGreaterThan(990);
    expect(await reviews.authenticate('good', here)).toEqual({ username: 'good' });
  },
);

test('invalid tokens keep no valid token out, whether its answer is still kept or has expired', async () => {
  const { client } = apiServer();
  const { pass } = clock();
  const reviews = new Reviews(client, { allowed: 100, refused: 1_000, heldBack: 1_000 });
  expect(await reviews.authenticate('good', here)).toEqual({ username: 'good' });
  const garbage = Promise.allSettled(
    Array.from({ length: 100 }, (_, index) => reviews.authenticate(`bad${index}`, here)),
  );
  for (let round = 0; round < 30; round++) {
    expect(await reviews.authenticate('good', here)).toEqual({ username: 'good' });
    pass(10);
    await turn();
  }
  await garbage;
});

test('a token that becomes invalid loses its precedence', async () => {
  const { client, withdraw } = apiServer();
  const reviews = new Reviews(client, { allowed: 0, refused: 0, heldBack: 1_000 });
  expect(await reviews.authenticate('good', here)).toEqual({ username: 'good' });
  withdraw();
  expect(await reviews.authenticate('good', here)).toBeUndefined();
  const garbage = Array.from({ length: 4 }, (_, index) => reviews.authenticate(`bad${index}`, here));
  await expect(reviews.authenticate('good', here)).rejects.toThrow(CrowdedError);
  await Promise.all(garbage);
});

test('the last thousand accepted tokens are kept, even after a thousand refused ones', async () => {
  const { client, asked } = apiServer();
  const reviews = new Reviews(client, { allowed: 30_000, refused: 30_000, heldBack: 0 });
  for (let index = 0; index <= 1_000; index++) await reviews.authenticate(`good${index}`, here);
  for (let index = 0; index <= 1_000; index++) await reviews.authenticate(`bad${index}`, here);
  expect(asked).toHaveLength(2_002);
  await reviews.authenticate('good1', here);
  await reviews.authenticate('bad1', here);
  expect(asked).toHaveLength(2_002);
  await reviews.authenticate('good0', here);
  await reviews.authenticate('bad0', here);
  expect(asked).toHaveLength(2_004);
});

test('a token for the audience is asked about with it, and counts only where the answer names it', async () => {
  const tokenFor = (...aud: string[]) =>
    `e30.${Buffer.from(JSON.stringify({ aud })).toString('base64url')}.signature`;
  const asked: (string[] | undefined)[] = [];
  let named: string[] | undefined = ['overlaynet-agent'];
  const reviews = new Reviews(
    {
      raw: ({ body }) => {
        const { audiences } = (body as { spec: { audiences?: string[] } }).spec;
        asked.push(audiences);
        const status = { authenticated: true, user: { username: 'operator' }, audiences: named };
        return Promise.resolve(JSON.stringify({ status }));
      },
    },
    { heldBack: 0, audience: 'overlaynet-agent' },
  );
  expect(await reviews.authenticate(tokenFor('overlaynet-agent'), here)).toEqual({ username: 'operator' });
  named = undefined;
  expect(await reviews.authenticate(tokenFor('overlaynet-agent', 'b'), here)).toBeUndefined();
  expect(await reviews.authenticate(tokenFor('https://kubernetes.default.svc'), here)).toBeDefined();
  expect(await reviews.authenticate('no-token-of-that-form', here)).toBeDefined();
  expect(asked).toEqual([['overlaynet-agent'], ['overlaynet-agent'], undefined, undefined]);
});

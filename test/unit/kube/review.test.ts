import { Reviews } from '../../../src/kube/review.ts';
import type { Client } from '../../../src/kube/client.ts';

/** An API server that knows `good` alone; `asked` has the kinds of what it was asked. */
function apiServer() {
  const asked: string[] = [];
  const pending: (() => void)[] = [];
  let held = false;
  const raw: Client['raw'] = async ({ body }) => {
    const { kind, spec } = body as { kind: string; spec: { token?: string; user?: string } };
    asked.push(kind);
    if (held) await new Promise<void>((resolve) => pending.push(resolve));
    if (spec.token === 'broken') throw new Error('connect ECONNREFUSED');
    const status =
      kind === 'TokenReview'
        ? { authenticated: spec.token?.startsWith('good'), user: { username: spec.token } }
        : { allowed: spec.user === 'good' };
    return JSON.stringify({ status });
  };
  return {
    asked,
    client: { raw },
    hold: () => (held = true),
    release: () => {
      held = false;
      for (const resolve of pending) resolve();
    },
  };
}
const soon = () => new Promise((resolve) => setTimeout(resolve, 60));

test('an answer is kept for a while, a refusal for a shorter one', async () => {
  const { client, asked } = apiServer();
  const reviews = new Reviews(client, { allowed: 1_000, refused: 30 });
  for (const token of ['good', 'good', 'bad', 'bad']) await reviews.authenticate(token);
  expect(asked).toHaveLength(2);
  await soon();
  expect(await reviews.authenticate('good')).toEqual({ username: 'good' });
  expect(asked).toHaveLength(2);
  expect(await reviews.authenticate('bad')).toBeUndefined();
  expect(asked).toHaveLength(3);
});

test('what was allowed is asked again after its time', async () => {
  const { client, asked } = apiServer();
  const reviews = new Reviews(client, { allowed: 30, refused: 30 });
  await reviews.authenticate('good');
  await soon();
  await reviews.authenticate('good');
  expect(asked).toHaveLength(2);
});

test('an access is of one user, one verb and one path', async () => {
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
  const reviews = new Reviews(client);
  for (let at = 0; at < 2; at++) await expect(reviews.authenticate('broken')).rejects.toThrow('ECONNREFUSED');
  expect(asked).toHaveLength(2);
});

test('the same question at once is asked once; too many different ones are not asked at all', async () => {
  const { client, asked, hold, release } = apiServer();
  const reviews = new Reviews(client);
  hold();
  const same = [reviews.authenticate('good'), reviews.authenticate('good')];
  expect(asked).toHaveLength(1);
  const others = Array.from({ length: 40 }, (_, index) => reviews.authenticate(`good${index}`));
  const settled = Promise.allSettled(others);
  expect(asked).toHaveLength(32);
  await expect(others[39]).rejects.toThrow('TokenReview: too many are under way');
  release();
  expect(await Promise.all(same)).toEqual([{ username: 'good' }, { username: 'good' }]);
  expect((await settled).filter(({ status }) => status === 'fulfilled')).toHaveLength(31);
  expect(await reviews.authenticate('good39')).toEqual({ username: 'good39' });
});

test('the thousand that were asked last are kept, no more', async () => {
  const { client, asked } = apiServer();
  const reviews = new Reviews(client);
  for (let index = 0; index <= 1_000; index++) await reviews.authenticate(`good${index}`);
  await reviews.authenticate('good1');
  expect(asked).toHaveLength(1_001);
  await reviews.authenticate('good0');
  expect(asked).toHaveLength(1_002);
});

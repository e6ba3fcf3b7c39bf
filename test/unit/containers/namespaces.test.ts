import { jest } from '@jest/globals';
import { Namespaces } from '../../../src/containers/namespaces.ts';
import { ApiError, type Client } from '../../../src/kube/client.ts';
import { silent } from '../../../src/log.ts';

const object = (team: string) => ({ metadata: { name: 'shop', labels: { team }, resourceVersion: '5' } });
const shop = (team: string) => ({ name: 'shop', labels: { team } });
const away = () => Promise.reject(new Error('get namespaces/shop: connect ECONNREFUSED'));
const forbidden = () => Promise.reject(new ApiError('list namespaces', 403, { reason: 'Forbidden' }));

/** What the checkpoint says of it is "old". */
function namespaces(client: Partial<Record<'list' | 'watch' | 'get', unknown>>): Namespaces {
  const last = [shop('old')];
  return new Namespaces({ client: client as Client, log: silent, last, onChange: () => undefined });
}

test('before the first list, the API server is asked; the checkpoint counts if it is away', async () => {
  const up = namespaces({ get: () => Promise.resolve(object('new')) });
  expect(up.get('shop')).toBeUndefined();
  expect(await up.lookUp('shop', 1_000)).toEqual(shop('new'));
  const down = namespaces({ get: away });
  expect(await down.lookUp('shop', 1_000)).toEqual(shop('old'));
  expect(await down.lookUp('other', 1_000)).toMatch(/^namespace other is not known: .*ECONNREFUSED/);
});

test('an API server that starts or is overloaded is away; one that forbids is not', async () => {
  const answers = (status: number) =>
    namespaces({ get: () => Promise.reject(new ApiError('get namespaces/shop', status, {})) });
  expect(await answers(503).lookUp('shop', 1_000)).toEqual(shop('old'));
  expect(await answers(403).lookUp('shop', 1_000)).toMatch(
    /^namespace shop is not known: get namespaces\/shop: 403/,
  );
  expect(await namespaces({ get: () => Promise.resolve(undefined) }).lookUp('shop', 1_000)).toBe(
    'there is no namespace shop',
  );
});

test('without the right to follow namespaces, listed ones do not count', async () => {
  const list = jest
    .fn<() => Promise<unknown>>()
    .mockResolvedValueOnce({ items: [object('listed')], resourceVersion: '5' })
    .mockImplementation(forbidden);
  const refusing = Promise.withResolvers<undefined>();
  async function* watch() {
    await refusing.promise;
    await forbidden();
    yield undefined;
  }
  const followed = namespaces({ list, watch });
  followed.informer.start();
  try {
    await followed.informer.synced();
    expect(followed.get('shop')).toEqual(shop('listed'));
    expect(followed.problem).toBeUndefined();
    refusing.resolve(undefined);
    while (!followed.informer.refused) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(followed.get('shop')).toBeUndefined();
    expect(followed.problem).toMatch(/403/);
  } finally {
    await followed.informer.stop();
  }
});

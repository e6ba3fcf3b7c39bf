import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { connect } from '../../../src/kube/client.ts';
import { Informer } from '../../../src/kube/informer.ts';
import { nodes } from '../../../src/kube/resources.ts';
import { Attempts } from '../../../src/kube/wait.ts';
import { scratch } from '../../support/fixture.ts';
import { kubeconfigFor } from '../../support/plainserver.ts';

/** An API server that returns refuses requests for a second or two, before it has read its rights. */

const longest = (attempts: Attempts, count: number) =>
  Math.max(...Array.from({ length: count }, () => attempts.nextMs()));

test('delays grow while there is no answer, and are short again at the first refusal after that', () => {
  const attempts = new Attempts({ baseMs: 100, maxMs: 4_000 });
  for (let time = 0; time < 10; time++) attempts.failed(false);
  expect(longest(attempts, 10)).toBeGreaterThanOrEqual(2_000);
  attempts.failed(true);
  expect(attempts.nextMs()).toBeLessThanOrEqual(400);
  // refusals that go on are no return
  for (let time = 0; time < 10; time++) {
    attempts.failed(true);
    attempts.nextMs();
  }
  attempts.failed(true);
  expect(attempts.nextMs()).toBeGreaterThanOrEqual(2_000);
  attempts.succeeded();
  expect(attempts.nextMs()).toBeLessThanOrEqual(100);
});

test('an informer asks a server again soon that refuses its first request after an outage', async () => {
  const at = scratch();
  let away = true;
  const asked: number[] = [];
  const answer = (response: ServerResponse, status: number, body: object) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  const server: Server = createServer((request, response) => {
    if (request.url?.includes('watch=true') === true) return;
    asked.push(performance.now());
    if (asked.length === 1) answer(response, 403, { reason: 'Forbidden', message: 'no rights read yet' });
    else answer(response, 200, { metadata: { resourceVersion: '1' }, items: [] });
  });
  server.on('connection', (socket) => {
    if (away) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = connect({ kubeconfig: kubeconfigFor(at.path('kubeconfig'), url) });
  const informer = new Informer(client, nodes, { backoff: { baseMs: 1, maxMs: 60_000 } });
  try {
    // the twelfth delay is two seconds at least
    const silent = new Promise<void>((resolve) => {
      const look = setInterval(() => {
        if (informer.counters.failures < 12) return;
        clearInterval(look);
        resolve();
      }, 20);
    });
    informer.start();
    await silent;
    away = false;
    await informer.synced();
    const [refused = 0, served = Infinity] = asked;
    expect(served - refused).toBeLessThan(2_000);
  } finally {
    await informer.stop();
    await client.close();
    server.closeAllConnections();
    server.close();
    at.drop();
  }
}, 40_000);

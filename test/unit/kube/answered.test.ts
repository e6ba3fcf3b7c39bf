import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { connect } from '../../../src/kube/client.ts';
import { nodes } from '../../../src/kube/resources.ts';
import type { Answered } from '../../../src/kube/transport.ts';
import { kubeconfigFor } from '../../support/plainserver.ts';

test('each request is counted once, with its verb, status and time; one without an answer has status 0', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ovt-answered-'));
  const server: Server = createServer((request, response) => {
    const status = request.method === 'PUT' ? 409 : 200;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ metadata: { name: 'node1' }, code: status, reason: 'Conflict' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const told: Answered[] = [];
  const client = connect({
    kubeconfig: kubeconfigFor(join(dir, 'kubeconfig'), url),
    onAnswer: (request) => told.push(request),
  });
  try {
    await client.get(nodes, 'node1');
    await client.update(nodes, { metadata: { name: 'node1' } }).catch(() => undefined);
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
    await client.get(nodes, 'node1').catch(() => undefined);
  } finally {
    await client.close();
    server.close();
    rmSync(dir, { recursive: true });
  }
  expect(told.map(({ verb, code }) => `${verb} ${code}`)).toEqual(['get 200', 'update 409', 'get 0']);
  for (const { seconds } of told) expect(seconds).toBeGreaterThanOrEqual(0);
});

test('an answer that ends in its midst names the request and who ended it', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ovt-broken-'));
  const server: Server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1_000 });
    response.write('{"type"', () => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = connect({ kubeconfig: kubeconfigFor(join(dir, 'kubeconfig'), url) });
  try {
    await expect(client.get(nodes, 'node1')).rejects.toThrow(
      'get nodes/node1: the server ended the connection',
    );
    const signal = new AbortController().signal;
    const watched = client.watch(nodes, { resourceVersion: '1', signal });
    await expect(watched[Symbol.asyncIterator]().next()).rejects.toThrow(
      'watch nodes: the server ended the connection',
    );
  } finally {
    await client.close();
    server.close();
    rmSync(dir, { recursive: true });
  }
});

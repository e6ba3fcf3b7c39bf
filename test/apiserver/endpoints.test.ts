import { expect } from '@jest/globals';
import { createSign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { serve, json, text, type Server } from '../../src/serve/http.ts';
import { connect, type Client } from '../../src/kube/client.ts';
import { Reviews } from '../../src/serve/review.ts';
import { silent } from '../../src/log.ts';
import { bundled } from '../../hack/build.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { askSecurely, tokenIn } from '../support/https.ts';
import { freePort, ServerProcess, TempDir } from '../support/kubeprocess.ts';
import { install } from '../support/refuses.ts';
import { eventually } from '../support/eventually.ts';

const namespace = 'overlaynet-system';
let plane: OwnControlPlane;
let temp: TempDir;
const clients: Client[] = [];
const servers: Server[] = [];
const processes: ServerProcess[] = [];

const tokenOf = async (name: string, of = namespace) =>
  tokenIn(await plane.kubeconfigFor({ name, namespace: of }));

beforeAll(async () => {
  plane = await startControlPlane();
  temp = new TempDir('ovt-endpoints-');
  await install(plane, 'deploy');
});
afterAll(async () => {
  for (const process of processes) await process.kill();
  for (const server of servers) await server.close();
  for (const client of clients) await client.close();
  await plane.stop();
  await temp.remove();
});

/** Serves what an agent or operator serves, with the rights of deploy/. Returns the address. */
async function served(as: string, listen = '0.0.0.0:0'): Promise<string> {
  const client = connect({ kubeconfig: await plane.kubeconfigFor({ name: as, namespace }) });
  clients.push(client);
  const routes = {
    '/overlay-master/state': () => json(200, { agents: [] }),
    '/overlay-agent/overlay': () => json(200, { ip: '172.17.0.4' }),
    '/metrics': () => text(200, 'a 1'),
    '/debug': () => text(200, 'secret'),
    '/healthz': () => text(200, 'ok'),
  };
  const secure = { certificate: { commonName: as, names: [] }, reviewer: new Reviews(client) };
  const server = await serve({ listen, routes, log: silent, secure });
  servers.push(server);
  return server.address.replace('0.0.0.0', '127.0.0.1');
}

describe.each(['overlaynet-operator', 'overlaynet-agent'])('with the rights of %s', (as) => {
  let at: string;
  beforeAll(async () => {
    at = await served(as);
  });

  test('overlaynet-viewer reads the three paths, by GET and HEAD, and no other', async () => {
    const token = await tokenOf('overlaynet-viewer');
    for (const route of ['/overlay-master/state', '/overlay-agent/overlay', '/metrics']) {
      for (const method of ['GET', 'HEAD']) {
        const { status } = await askSecurely(at, route, { token, method });
        expect({ route, method, status }).toEqual({ route, method, status: 200 });
      }
    }
    const { status, body } = await askSecurely(at, '/debug', { token });
    const viewer = `system:serviceaccount:${namespace}:overlaynet-viewer`;
    expect([status, body]).toEqual([403, expect.stringContaining(`user ${viewer} may not get /debug`)]);
  });

  test('another ServiceAccount gets 403; bound to the viewer’s role, it is admitted', async () => {
    const token = await tokenOf(`someone-${as}`, 'default');
    expect((await askSecurely(at, '/metrics', { token })).status).toBe(403);
    await plane.kubectl(
      ...['create', 'clusterrolebinding', `ovt-${as}`, '--clusterrole=overlaynet-viewer'],
      `--serviceaccount=default:someone-${as}`,
    );
    await eventually(
      async () => (await askSecurely(at, '/metrics', { token })).status,
      (status) => status === 200,
    );
  });

  test('no token, garbage, an expired or forged token, or one for another audience gets 401', async () => {
    const good = await tokenOf('overlaynet-viewer');
    const [header = '', claims = '', signature = ''] = good.split('.');
    const changed = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { iat: number; exp: number };
    const past = Math.floor(Date.now() / 1_000) - 7_200;
    const old = Buffer.from(JSON.stringify({ ...changed, iat: past, nbf: past, exp: past + 3_600 }));
    const body = `${header}.${old.toString('base64url')}`;
    const key = readFileSync(path.join(path.dirname(plane.kubeconfig), 'sa.key'));
    const expired = `${body}.${createSign('sha256').update(body).sign(key, 'base64url')}`;
    const elsewhere = await plane.kubectl(
      ...['create', 'token', '-n', namespace, 'overlaynet-viewer', '--audience=somewhere-else'],
    );
    const tokens = { none: undefined, garbage: 'garbage', expired, elsewhere: elsewhere.trim() };
    const forged = `${header}.${claims}.${signature.slice(0, -8)}AAAAAAAA`;
    for (const [what, token] of Object.entries({ ...tokens, forged })) {
      const options = token === undefined ? {} : { token };
      const { status, headers } = await askSecurely(at, '/metrics', options);
      expect({ what, status, challenge: headers['www-authenticate'] }).toEqual({
        what,
        status: 401,
        challenge: expect.stringMatching(/^Bearer realm="overlaynet"/),
      });
    }
    expect((await askSecurely(at, '/metrics', { token: good })).status).toBe(200);
  });
});

test('with an API server that refuses the reviews, no client is admitted', async () => {
  const at = await served('overlaynet-viewer');
  const { status, body } = await askSecurely(at, '/metrics', { token: await tokenOf('overlaynet-viewer') });
  expect([status, body]).toEqual([503, expect.stringContaining('cannot create resource \\"tokenreviews\\"')]);
});

const run = async (name: string, args: string[]) => {
  const log = path.join(temp.path, `${name}-${processes.length}.log`);
  const main = await bundled(name === 'overlaynet-agent' ? 'agent' : 'operator');
  const kubeconfig = await plane.kubeconfigFor({ name, namespace });
  const env = { NODE_NAME: 'node9', NODE_IPS: '192.0.2.9' };
  const dirs = ['state', 'run', 'lease', 'cni-conf', 'cni-net'].flatMap((dir) => [
    `--${dir}-dir`,
    path.join(temp.path, dir),
  ]);
  const own = name === 'overlaynet-agent' ? ['run', ...dirs] : [];
  processes.push(
    new ServerProcess(process.execPath, [main, ...own, '--kubeconfig', kubeconfig, ...args], log, env),
  );
};

test('operator and agent: the document is the same over HTTPS and HTTP, and the certificate has the node’s address', async () => {
  const token = await tokenOf('overlaynet-viewer');
  const ports = [await freePort(), await freePort()] as const;
  await run('overlaynet-operator', ['--listen', `127.0.0.1:${ports[0]}`]);
  await run('overlaynet-operator', ['--listen', `:${ports[1]}`]);
  const [plain, secure] = [`http://127.0.0.1:${ports[0]}`, `127.0.0.1:${ports[1]}`];
  const state = '/overlay-master/state';
  const first = await eventually(
    async () => {
      const answer = await fetch(plain + state).catch(() => undefined);
      return { status: answer?.status, body: await answer?.text() };
    },
    ({ status }) => status === 200,
  );
  const answer = await eventually(
    () => askSecurely(secure, state, { token }).catch(() => undefined),
    (seen) => seen?.status === 200,
  );
  expect(JSON.parse(first.body!)).toHaveProperty('agents');
  expect(answer?.body).toBe(first.body);
  expect(answer?.certificate.subjectaltname).toContain('IP Address:192.0.2.9');
  expect((await askSecurely(secure, state)).status).toBe(401);
  expect((await askSecurely(secure, '/readyz')).status).toBe(200);
  // a separate right that readers do not have; agents-delete.test.ts tests the rest
  const post = { token, method: 'POST', body: '{"agents": ["192.0.2.1"]}' };
  expect((await askSecurely(secure, '/overlay-master/agents/delete', post)).status).toBe(403);

  const port = await freePort();
  await run('overlaynet-agent', ['--listen', `:${port}`]);
  const agent = await eventually(
    () => askSecurely(`127.0.0.1:${port}`, '/metrics', { token }).catch(() => undefined),
    (seen) => seen?.status === 200,
  );
  expect(agent?.body).toContain('overlaynet_build_info');
  expect(agent?.certificate.subjectaltname).toContain('IP Address:192.0.2.9');
  expect((await askSecurely(`127.0.0.1:${port}`, '/metrics')).status).toBe(401);
});

// the last test: it stops the API server
test('without an API server no new client is admitted, and health is still served', async () => {
  const at = await served('overlaynet-agent');
  const token = await tokenOf('overlaynet-viewer');
  const unseen = await tokenOf('overlaynet-agent');
  expect((await askSecurely(at, '/metrics', { token })).status).toBe(200);
  await plane.killApiserver();
  expect((await askSecurely(at, '/metrics', { token })).status).toBe(200);
  for (const [route, whose] of [
    ['/metrics', unseen],
    ['/overlay-agent/overlay', token],
  ] as const) {
    const { status, headers } = await askSecurely(at, route, { token: whose });
    expect([route, status, headers['retry-after']]).toEqual([route, 503, '5']);
  }
  expect((await askSecurely(at, '/healthz')).status).toBe(200);
});

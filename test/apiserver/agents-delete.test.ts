import { apiVersion, type AgentAllocation, type OverlayAgent } from '../../src/api/types.ts';
import { serve, type Server } from '../../src/serve/http.ts';
import { ApiError, connect, type Client } from '../../src/kube/client.ts';
import { agentAllocations, nodes, overlayAgents } from '../../src/kube/resources.ts';
import { Reviews } from '../../src/serve/review.ts';
import { silent } from '../../src/log.ts';
import { Caches } from '../../src/operator/caches.ts';
import { Deletions } from '../../src/operator/deletion.ts';
import { endpoints } from '../../src/operator/endpoints.ts';
import { OperatorMetrics } from '../../src/operator/metrics.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { askSecurely, tokenIn } from '../support/https.ts';
import { agent, allocation } from '../support/manifests.ts';
import { install } from '../support/refuses.ts';
import { eventually } from '../support/eventually.ts';

const namespace = 'overlaynet-system';
const route = '/overlay-master/agents/delete';

let plane: OwnControlPlane;
let operator: Client;
let caches: Caches;
let server: Server;
let administrator: string, viewer: string;
let leads = true;
/** The nodes that the allocator was told to release. */
const released: string[][] = [];
/** Runs before the operator deletes an OverlayAgent. */
let meanwhile: (node: string) => Promise<void> = () => Promise.resolve();

/** The operator's client, with its own rights, and another writer that is faster. */
const interposed = (client: Client): Client =>
  new Proxy(client, {
    get: (target, name) => {
      if (name === 'delete') {
        return async (...args: Parameters<Client['delete']>) => {
          await meanwhile(args[1]);
          return target.delete(...args);
        };
      }
      const method = Reflect.get(target, name) as unknown;
      return typeof method === 'function' ? (method.bind(target) as unknown) : method;
    },
  });

beforeAll(async () => {
  plane = await startControlPlane();
  await install(plane, 'deploy');
  operator = connect({ kubeconfig: await plane.kubeconfigFor({ name: 'overlaynet-operator', namespace }) });
  caches = new Caches(operator, silent);
  const metrics = new OperatorMetrics();
  const deletions = new Deletions({
    client: interposed(operator),
    caches,
    log: silent,
    leading: () => leads,
    released: (names) => released.push([...names]),
  });
  server = await serve({
    listen: '0.0.0.0:0',
    routes: endpoints(caches, metrics, deletions),
    log: silent,
    secure: {
      certificate: { commonName: 'overlaynet-operator', names: [] },
      reviewer: new Reviews(operator),
    },
  });
  administrator = tokenIn(await plane.kubeconfigFor({ name: 'ovt-admin' }));
  viewer = tokenIn(await plane.kubeconfigFor({ name: 'overlaynet-viewer', namespace }));
  await plane.kubectl(
    ...['create', 'clusterrolebinding', 'ovt-admin', '--clusterrole=overlaynet-operator-admin'],
    '--serviceaccount=default:ovt-admin',
  );
});

afterAll(async () => {
  await caches.stop();
  await server.close();
  await operator.close();
  await plane.stop();
});

afterEach(() => {
  leads = true;
  released.length = 0;
  meanwhile = () => Promise.resolve();
});

const ask = async (body: unknown, token = administrator) => {
  const address = server.address.replace('0.0.0.0', '127.0.0.1');
  const sent = typeof body === 'string' ? body : JSON.stringify(body);
  const answer = await askSecurely(address, route, { token, method: 'POST', body: sent });
  return { status: answer.status, headers: answer.headers, said: JSON.parse(answer.body) as unknown };
};
const askFor = (...agents: string[]) => ask({ agents });

const held = (n: number) => ({
  vtep: { ip: `44.128.0.${n}/20`, mac: `70:b3:d5:80:00:0${n}` },
  networks: [{ name: 'dcos', subnets: [{ cidr: `9.0.${n}.0/24` }] }],
});
const departed = (n: number) => ({
  ip: `172.17.0.${n}`,
  node: `node${n}`,
  vtep: held(n).vtep,
  networks: [{ name: 'dcos', subnets: [`9.0.${n}.0/24`] }],
});

/** Makes a registered node with a block, whose Node exists or is gone. */
async function registered(n: number, there: 'there' | 'gone'): Promise<void> {
  const [name, addresses] = [`node${n}`, [`172.17.0.${n}`]];
  if (there === 'there') await plane.client.create(nodes, { metadata: { name } });
  await plane.client.create(overlayAgents, { apiVersion, ...agent({ addresses }, name) } as OverlayAgent);
  const empty = { apiVersion, ...allocation({ addresses }, name) } as AgentAllocation;
  const stored = await operator.create(agentAllocations, empty);
  await operator.update(agentAllocations, { ...stored, spec: { ...stored.spec, ...held(n) } });
  await eventually(
    () => [caches.allocations.get(name)?.spec.vtep, caches.agents.get(name)],
    (seen) => !seen.includes(undefined),
  );
}

test('nothing is released until the caches are synced: 503', async () => {
  // the role was bound a moment ago
  const { said } = await eventually(
    () => askFor('172.17.0.9'),
    ({ status }) => status === 503,
  );
  expect(said).toEqual({ error: expect.stringMatching(/^not synced yet: /) });
  caches.start(
    () => undefined,
    () => undefined,
  );
  await Promise.all(caches.all.map((informer) => informer.synced()));
});

test('the blocks of a gone node are released and listed; a second request gets unknown agent', async () => {
  await registered(2, 'gone');
  expect(await askFor('172.17.0.2')).toMatchObject({ status: 200, said: { agents: [departed(2)] } });
  expect(released).toEqual([['node2']]);
  expect(await plane.client.get(overlayAgents, 'node2')).toBeUndefined();
  // the allocator takes the blocks back with its own protocol; this request writes none of its objects
  expect((await plane.client.get(agentAllocations, 'node2'))?.spec).toMatchObject(held(2));
  await operator.delete(agentAllocations, 'node2');
  await eventually(
    async () => (await askFor('172.17.0.2')).status,
    (status) => status === 400,
  );
});

test('nothing is released, not even of other nodes, if one node exists: 405', async () => {
  await registered(3, 'gone');
  await registered(4, 'there');
  const { status, said } = await askFor('172.17.0.3', '172.17.0.4');
  expect([status, said]).toEqual([
    405,
    {
      error: 'agents that are alive; nothing was released',
      agents: [
        {
          ip: '172.17.0.4',
          reason: 'Node node4 exists: delete it first (kubectl delete node node4)',
        },
      ],
    },
  ]);
  expect(released).toEqual([]);
  expect(await plane.client.get(overlayAgents, 'node3')).toBeDefined();
});

test('the operator reads the Node from the API server, not from its caches', async () => {
  await registered(5, 'gone');
  // the informer of Nodes is stopped, so that it has not seen this one
  await caches.nodes.stop();
  await plane.client.create(nodes, { metadata: { name: 'node5' } });
  expect((await askFor('172.17.0.5')).status).toBe(405);
  await plane.client.delete(nodes, 'node5');
  expect((await askFor('172.17.0.5')).status).toBe(200);
});

test('unknown and malformed agents are 400 with the reason, and nothing is released', async () => {
  await registered(6, 'gone');
  expect(await askFor('172.17.0.6', '172.17.0.77')).toMatchObject({
    status: 400,
    said: {
      error: 'unknown agents; nothing was released',
      agents: [{ ip: '172.17.0.77', reason: 'no AgentAllocation and no OverlayAgent has this address' }],
    },
  });
  for (const [body, words] of [
    ['agents=172.17.0.6', 'the body is not JSON'],
    [{ agents: ['node6'] }, 'agents[0]: "node6" must be an IP address'],
    [{ agents: ['172.17.0.6'], force: true }, '"force" is not a field'],
  ] as const) {
    expect(await ask(body)).toMatchObject({ status: 400, said: { error: expect.stringContaining(words) } });
  }
  expect(released).toEqual([]);
  expect(await plane.client.get(overlayAgents, 'node6')).toBeDefined();
});

test('an agent that writes meanwhile is checked again', async () => {
  const touch = async (name: string) => {
    const merge = { type: 'merge' as const };
    const annotations = { now: String(performance.now()) };
    await plane.client.patch(overlayAgents, name, { metadata: { annotations } }, merge);
  };
  await registered(7, 'gone');
  let times = 0;
  meanwhile = async (name) => {
    if (times++ === 0) await touch(name);
  };
  expect((await askFor('172.17.0.7')).status).toBe(200);
  expect(await plane.client.get(overlayAgents, 'node7')).toBeUndefined();

  await registered(8, 'gone');
  meanwhile = touch;
  expect(await askFor('172.17.0.8')).toMatchObject({
    status: 405,
    said: { agents: [{ reason: expect.stringContaining('keeps writing OverlayAgent node8') as string }] },
  });

  await registered(9, 'gone');
  meanwhile = async (name) => {
    await touch(name);
    await plane.client.create(nodes, { metadata: { name } });
  };
  expect(await askFor('172.17.0.9')).toMatchObject({
    status: 405,
    said: { agents: [{ reason: expect.stringContaining('Node node9 exists') as string }] },
  });
  expect(released).toEqual([['node7']]);
});

test('nodes that were released before a failure are listed', async () => {
  await registered(1, 'gone');
  await eventually(
    () => caches.allocations.get('node8'),
    (seen) => seen !== undefined,
  );
  meanwhile = (name) =>
    name === 'node8'
      ? Promise.reject(
          new ApiError('delete overlayagents/node8', 500, { message: 'etcd is away' }, undefined),
        )
      : Promise.resolve();
  const { status, said, headers } = await askFor('172.17.0.1', '172.17.0.8');
  expect([status, headers['retry-after'], said]).toEqual([
    503,
    '5',
    { error: expect.stringContaining('etcd is away'), released: [departed(1)] },
  ]);
  expect(released).toEqual([['node1']]);
});

test('an operator that does not lead releases nothing: 503, with the way to find the leader', async () => {
  leads = false;
  expect(await askFor('172.17.0.6')).toMatchObject({
    status: 503,
    said: { error: expect.stringContaining('get lease overlaynet-operator') as string },
  });
  expect(released).toEqual([]);
});

test('only a user bound to overlaynet-operator-admin may release, and by default no user is', async () => {
  const { status, said } = await ask({ agents: ['172.17.0.6'] }, viewer);
  expect([status, said]).toEqual([
    403,
    {
      error: expect.stringContaining(
        `may not post ${route}: bind the ClusterRole overlaynet-operator-admin to that user`,
      ),
    },
  ]);
  expect(released).toEqual([]);
  const address = server.address.replace('0.0.0.0', '127.0.0.1');
  const got = await askSecurely(address, route, { token: administrator });
  expect([got.status, got.headers['allow']]).toEqual([405, 'POST']);
  // the role covers only this path
  expect((await askSecurely(address, '/overlay-master/state', { token: administrator })).status).toBe(403);
});

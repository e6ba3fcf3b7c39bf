import { expect, jest } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { endpoints } from '../../src/agent/endpoints.ts';
import { Metrics } from '../../src/agent/metrics.ts';
import { ContainerListing } from '../../src/containers/listing.ts';
import { connect, type Client } from '../../src/kube/client.ts';
import { configMaps, nodes, pods, type Node, type Pod } from '../../src/kube/resources.ts';
import { silent } from '../../src/log.ts';
import { agentAudience } from '../../src/rows/row.ts';
import { serve, type Server } from '../../src/serve/http.ts';
import { Reviews } from '../../src/serve/review.ts';
import { CommandLine } from '../support/commandline.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { askSecurely } from '../support/https.ts';
import { FakeKubelet } from '../support/kubelet.ts';
import { freePort, TempDir } from '../support/kubeprocess.ts';
import { applyNetwork, joinNode, shown } from '../support/leader.ts';
import { eventually, OperatorProcess } from '../support/operator.ts';
import { install } from '../support/refuses.ts';
import { attachment } from '../unit/agent/fixture.ts';

jest.setTimeout(90_000);

const namespace = 'overlaynet-system';
let plane: OwnControlPlane;
let client: Client;
let temp: TempDir;
let command: CommandLine;
let operator: OperatorProcess;
let kubelet: FakeKubelet;
let agent: Server;
let agentClient: Client;
let stateDir: string;
const port = 9180;
/** Of this machine: agents are not asked at loopback addresses. */
const ownAddress =
  Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '';

/** With the administrator's kubeconfig, unless told. */
const run = (args: string, kubeconfig = plane.kubeconfig) =>
  command.run(args.split(' '), { KUBECONFIG: kubeconfig });

const lines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/));

async function podOf(name: string, kubeletPort: number): Promise<void> {
  const node = await client.create<Node>(nodes, { metadata: { name: 'control' } });
  const status = {
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
  };
  await client.updateStatus<Node>(nodes, { ...node, status } as Node);
  const labels = { 'app.kubernetes.io/name': 'overlaynet-operator' };
  const spec = { nodeName: 'control', hostNetwork: true, containers: [{ name: 'operator', image: 'x' }] };
  const pod = await client.create(pods(namespace), { metadata: { name, labels }, spec } as Pod);
  await client.updateStatus(pods(namespace), {
    ...pod,
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  });
}

/** What an agent serves, as it does it, with the rights of one. */
async function startAgent(): Promise<Server> {
  agentClient = connect({ kubeconfig: await plane.kubeconfigFor({ name: 'overlaynet-agent', namespace }) });
  const kernel = {
    stdout: JSON.stringify([{ ifname: 'c-0123456789ab', master: 'm-dcos' }]),
    stderr: '',
    code: 0,
  };
  const listing = new ContainerListing({
    node: 'node1',
    version: '0.1.0',
    stateDir,
    run: () => Promise.resolve(kernel),
  });
  return serve({
    listen: `0.0.0.0:0`,
    routes: endpoints({ ready: true, state: undefined }, new Metrics('0.1.0'), listing),
    log: silent,
    secure: {
      certificate: { commonName: 'agent', names: [] },
      reviewer: new Reviews(agentClient, { audience: agentAudience }),
    },
  });
}

const agentToken = async () => {
  const answer = await client.raw({
    what: 'token for agents',
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/overlaynet-operator/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [agentAudience] },
    },
  });
  return (JSON.parse(answer) as { status: { token: string } }).status.token;
};

beforeAll(async () => {
  [plane, command] = await Promise.all([startControlPlane(), CommandLine.build()]);
  ({ client } = plane);
  temp = new TempDir('ovt-cli-');
  stateDir = path.join(temp.path, 'state');
  mkdirSync(path.join(stateDir, 'attachments'), { recursive: true });
  await install(plane, 'deploy');
  kubelet = new FakeKubelet();
  await podOf('operator-1', await kubelet.start());
  agent = await startAgent();
  const tokenFile = path.join(temp.path, 'token');
  writeFileSync(tokenFile, await agentToken());
  operator = await OperatorProcess.start(
    await plane.kubeconfigFor({ name: 'overlaynet-operator', namespace }),
    'operator-1',
    ...[
      '--listen',
      `:${port}`,
      '--agent-port',
      agent.address.replace(/.*:/, ''),
      '--agent-token-file',
      tokenFile,
    ],
  );
  await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  await joinNode(client, 'node1', ownAddress);
  await eventually(
    () => shown(client),
    (all) => all.get('node1')?.some((one) => one.startsWith('9.')) === true,
    30_000,
  );
  await eventually(
    () => client.get(configMaps(namespace), 'overlaynet-operator'),
    (found) => found !== undefined,
  );
}, 120_000);

afterAll(async () => {
  await operator.stop();
  await agent.close();
  await agentClient.close();
  await kubelet.stop();
  await plane.stop();
  await command.remove();
  await temp.remove();
});

test('networks, through the API server, with a token and a certificate that it finds by itself', async () => {
  const { code, stdout, stderr } = await run('networks');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [head, row] = lines(stdout);
  expect(head).toEqual(['NAME', 'STATE', 'SUBNETS', 'READY', 'FILL', 'ISOLATION', 'AGE']);
  expect(row?.slice(0, 4)).toEqual(['dcos', 'Waiting', '9.0.0.0/16 /24', '0/1']);
  expect(kubelet.asked.at(-1)).toContain(`port=${port}`);
});

test('every form of output', async () => {
  expect((await run('agents -o name')).stdout.trim().split('\n').sort()).toEqual([
    'agent/control',
    'agent/node1',
  ]);
  expect(JSON.parse((await run('blocks dcos -o json')).stdout)).toMatchObject({
    items: [{ network: 'dcos', cidr: '9.0.0.0/24', node: 'node1', state: 'Held' }],
  });
  expect((await run('networks -o yaml')).stdout).toContain('items:\n  - name: dcos');
  expect(lines((await run('blocks --no-headers -o wide')).stdout)[0]?.slice(0, 4)).toEqual([
    'vtep',
    '44.128.0.1/20',
    'node1',
    'Held',
  ]);
  expect(lines((await run('agents --sort-by state --no-headers')).stdout).map(([name]) => name)).toEqual([
    'node1',
    'control',
  ]);
});

test('containers come from the agents, each held against the kernel', async () => {
  const file = path.join(stateDir, 'attachments', 'cafe:eth0.json');
  const [first] = attachment().interfaces;
  const record = attachment({
    pod: 'web\u001b[31m',
    interfaces: [{ ...first!, addresses: ['9.0.0.2', 'fe80::1'] }],
  });
  writeFileSync(file, JSON.stringify(record));
  const { code, stdout, stderr } = await run('containers --network dcos');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(lines(stdout)[1]?.slice(0, 5)).toEqual([
    'dcos',
    'default/web\\u001b[31m',
    '9.0.0.2',
    'node1',
    'Present',
  ]);
  expect((await run('ip 9.0.0.2')).stdout).toContain(
    'pod default/web\\u001b[31m (CNI) on network dcos, node node1',
  );
});

test.each([
  ['9.0.0.1', 0, 'the gateway: bridge m-dcos of node node1'],
  ['9.0.0.9', 0, 'free: in block 9.0.0.0/24 of network dcos, which node node1 holds'],
  ['44.128.0.1', 0, 'the tunnel’s end (VTEP) of node node1'],
  [ownAddress, 0, 'node node1’s own address'],
  ['9.0.7.7', 0, 'unused: in network dcos (9.0.0.0/16)'],
  ['8.8.8.8', 1, 'outside: no network has it'],
])('ip %s', async (address, status, words) => {
  const { code, stdout } = await run(`ip ${address}`);
  expect({ code, stdout }).toEqual({ code: status, stdout: expect.stringContaining(words) });
});

test('status tells what is wrong, waits as long as it is told, and gives 1', async () => {
  const { code, stdout, stderr } = await run('status --wait 10s');
  expect(code).toBe(1);
  expect(stdout).toContain('NOT HEALTHY: 2 of 2 agents are not ready');
  expect(stdout).toMatch(/Operators {2}1 of 1 ready, operator-1 leads, version 0\.1\.0/);
  expect(stderr).toContain('waiting: ');
  await client.raw({
    what: 'make a policy',
    method: 'POST',
    path: '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies',
    body: { metadata: { name: 'deny' }, spec: { podSelector: {} } },
  });
  expect((await run('status')).stdout).toContain('1 NETWORKPOLICIES, AND NOTHING HERE ENFORCES THEM');
  expect(JSON.parse((await run('status -o json')).stdout)).toMatchObject({
    healthy: false,
    leader: 'operator-1',
  });
});

test('a user with the role overlaynet-command has what it needs, and nothing else of the API', async () => {
  const user = await plane.kubeconfigFor({ name: 'ovt-user' });
  const without = await run('networks', user);
  expect(without.code).toBe(2);
  expect(without.stderr).toContain('you lack a right: list pods: 403');
  expect(without.stderr).toContain('--clusterrole=overlaynet-command');
  await plane.kubectl(
    ...['create', 'rolebinding', '-n', namespace, 'ovt-user', '--clusterrole=overlaynet-command'],
    '--serviceaccount=default:ovt-user',
  );
  await eventually(
    () => run('networks', user),
    ({ code }) => code === 0,
    20_000,
  );
  expect((await run('containers', user)).code).toBe(0);
  const status = await run('status', user);
  expect(status.stderr).toContain('not known: NetworkPolicies: you lack a right');
});

test('no right to forward a port is named', async () => {
  const rules = [
    { apiGroups: [''], resources: ['pods', 'configmaps'], verbs: ['get', 'list'] },
    { apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] },
  ];
  const { code, stderr } = await run('networks', await plane.kubeconfigFor({ name: 'ovt-noforward', rules }));
  expect(code).toBe(2);
  expect(stderr).toMatch(/you lack a right: create pods\/portforward .*403/);
});

test('a viewer’s token does not show containers, and the role that does is named', async () => {
  const { code, stderr } = await run('containers --service-account overlaynet-viewer');
  expect(code).toBe(2);
  expect(stderr).toContain('bind the ClusterRole overlaynet-inspector');
});

test('a token that nobody knows, an operator without a published certificate, and none at all', async () => {
  const unknown = await run('networks --token garbage');
  expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('does not take the token')]);
  const elsewhere = await run('networks --system-namespace default');
  expect([elsewhere.code, elsewhere.stderr]).toEqual([
    2,
    expect.stringContaining('no operator runs in namespace default'),
  ]);
  const found = (await client.get(configMaps(namespace), 'overlaynet-operator'))!;
  await client.update(configMaps(namespace), { ...found, data: {} });
  const strange = await run('networks');
  expect([strange.code, strange.stderr]).toEqual([
    2,
    expect.stringContaining('no operator has published that'),
  ]);
  const now = (await client.get(configMaps(namespace), 'overlaynet-operator'))!;
  await client.update(configMaps(namespace), { ...now, data: found.data ?? {} });
  expect((await run('networks')).code).toBe(0);
});

test('--server reaches the operator itself, by the same certificate', async () => {
  expect((await run(`networks -o name --server https://127.0.0.1:${port}`)).stdout).toBe('network/dcos\n');
  const clear = await run('networks --server http://example.org');
  expect([clear.code, clear.stderr]).toEqual([2, expect.stringContaining('in the clear')]);
});

test('an API server that is not there, an expired token of the user, no kubeconfig', async () => {
  const nowhere = plane.kubeconfigAt(`https://127.0.0.1:${await freePort()}`);
  const away = await run('networks', nowhere);
  expect([away.code, away.stderr]).toEqual([
    2,
    expect.stringMatching(/cannot be reached: .*ECONNREFUSED[^]*kubectl cluster-info/),
  ]);
  const expired = path.join(temp.path, 'expired');
  const text = await plane.kubectl('config', 'view', '--raw', '--flatten');
  writeFileSync(expired, text.replace(/token: .*/, 'token: old'));
  const old = await run('networks', expired);
  expect([old.code, old.stderr]).toEqual([2, expect.stringContaining('log in again')]);
  const none = await command.run(['networks']);
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('give --kubeconfig')]);
});

test('an exec plugin gives the token; one that fails is named', async () => {
  const text = await plane.kubectl('config', 'view', '--raw', '--flatten');
  const token = /token: (\S+)/.exec(text)?.[1] ?? '';
  const credential = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token },
  };
  const script = path.join(temp.path, 'plugin');
  writeFileSync(script, `#!/bin/sh\necho '${JSON.stringify(credential)}'\n`, { mode: 0o755 });
  const write = (program: string) => {
    const file = path.join(temp.path, `exec-${path.basename(program)}`);
    const exec = `exec: {apiVersion: client.authentication.k8s.io/v1, command: "${program}", interactiveMode: Never}`;
    writeFileSync(file, text.replace(/token: \S+/, exec));
    return file;
  };
  expect((await run('networks -o name', write(script))).stdout).toBe('network/dcos\n');
  const failed = await run('networks', write('/nonexistent/login'));
  expect([failed.code, failed.stderr]).toEqual([2, expect.stringContaining('/nonexistent/login')]);
});

test('an operator of another version, or something else, is said', async () => {
  let answer: [number, string] = [200, JSON.stringify({ version: '0.9.3', items: [], total: 0 })];
  const other = createPlainServer((_, response) => {
    response.writeHead(answer[0]).end(answer[1]);
  });
  await new Promise<void>((resolve) => {
    other.listen(0, '127.0.0.1', resolve);
  });
  const server = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
  try {
    const skewed = await run(`networks --server ${server}`);
    expect([skewed.code, skewed.stderr]).toEqual([
      0,
      expect.stringContaining('the operator is of version 0.9.3'),
    ]);
    answer = [404, '{"error":"no such path"}'];
    expect((await run(`agents --server ${server}`)).stderr).toContain(
      'it is of another version than this command',
    );
    answer = [200, '<html>'];
    expect((await run(`agents --server ${server}`)).stderr).toContain('is not an operator’s answer');
    answer = [503, '{"error":"not synced yet: nodes"}'];
    expect((await run(`agents --server ${server}`)).stderr).toContain(
      'cannot tell yet: not synced yet: nodes',
    );
  } finally {
    other.close();
  }
});

test('wrong parameters are 400 over HTTPS too, with parameter, value and rule', async () => {
  const { stdout } = { stdout: await plane.kubectl('create', 'token', '-n', namespace, 'overlaynet-viewer') };
  const ask = (route: string, method = 'GET') =>
    askSecurely(`127.0.0.1:${port}`, route, { token: stdout.trim(), method });
  const wrong = await ask('/api/v1/networks?limit=0');
  expect([wrong.status, JSON.parse(wrong.body)]).toEqual([
    400,
    {
      error: 'parameter limit="0": must be a whole number from 1 to 5000',
      parameter: 'limit',
      value: '0',
      rule: 'must be a whole number from 1 to 5000',
    },
  ]);
  expect((await ask('/api/v1/nothing')).status).toBe(404);
  expect((await ask('/api/v1/networks', 'POST')).status).toBe(405);
  expect((await ask('/api/v1/containers')).status).toBe(403);
});

test('what agents are shown is no token for the API server or the operator', async () => {
  const token = await agentToken();
  expect((await askSecurely(`127.0.0.1:${port}`, '/api/v1/networks', { token })).status).toBe(401);
  expect((await askSecurely(new URL(plane.server).host, '/api/v1/nodes', { token })).status).toBe(401);
  const at = agent.address.replace('0.0.0.0', '127.0.0.1');
  expect((await askSecurely(at, '/overlay-agent/containers', { token })).status).toBe(200);
});

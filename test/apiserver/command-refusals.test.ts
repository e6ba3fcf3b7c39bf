import { expect } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { configMaps } from '../../src/kube/resources.ts';
import { namespace } from '../support/commandbed.ts';
import { usesCommandBed } from '../support/usescommandbed.ts';
import { askSecurely } from '../support/https.ts';
import { freePort } from '../support/kubeprocess.ts';
import { eventually } from '../support/eventually.ts';

const { bed, run, client } = usesCommandBed();

test('the role overlaynet-command has the rights that the command needs, and no others', async () => {
  const user = await bed().plane.kubeconfigFor({ name: 'ovt-user' });
  const without = await run('networks', user);
  expect(without.code).toBe(2);
  expect(without.stderr).toContain('you lack a right: list pods: 403');
  expect(without.stderr).toContain('--clusterrole=overlaynet-command');
  await bed().plane.kubectl(
    ...['create', 'rolebinding', '-n', namespace, 'ovt-user', '--clusterrole=overlaynet-command'],
    '--serviceaccount=default:ovt-user',
  );
  await eventually(
    () => run('networks', user),
    ({ code }) => code === 0,
  );
  expect((await run('containers', user)).code).toBe(0);
  const status = await run('status', user);
  expect(status.stderr).toContain('not known: NetworkPolicies: you lack a right');
});

test('a missing right to forward a port is named', async () => {
  const rules = [
    { apiGroups: [''], resources: ['pods', 'configmaps'], verbs: ['get', 'list'] },
    { apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] },
  ];
  const { code, stderr } = await run(
    'networks',
    await bed().plane.kubeconfigFor({ name: 'ovt-noforward', rules }),
  );
  expect(code).toBe(2);
  expect(stderr).toMatch(/you lack a right: create pods\/portforward .*403/);
});

test('a viewer’s token does not show containers, and the message names the role that does', async () => {
  const { code, stderr } = await run('containers --service-account overlaynet-viewer');
  expect(code).toBe(2);
  expect(stderr).toContain('bind the ClusterRole overlaynet-inspector');
});

test('an unknown token, an operator without a published certificate, and no operator at all', async () => {
  const unknown = await run('networks --token garbage');
  expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('does not take the token')]);
  const elsewhere = await run('networks --system-namespace default');
  expect([elsewhere.code, elsewhere.stderr]).toEqual([
    2,
    expect.stringContaining('no operator runs in namespace default'),
  ]);
  const found = (await client().get(configMaps(namespace), 'overlaynet-operator'))!;
  await client().update(configMaps(namespace), { ...found, data: {} });
  const strange = await run('networks');
  expect([strange.code, strange.stderr]).toEqual([
    2,
    expect.stringContaining('no operator has published that'),
  ]);
  const now = (await client().get(configMaps(namespace), 'overlaynet-operator'))!;
  await client().update(configMaps(namespace), { ...now, data: found.data ?? {} });
  expect((await run('networks')).code).toBe(0);
});

test('--server reaches the operator itself, by the same certificate', async () => {
  expect((await run(`networks -o name --server https://127.0.0.1:${bed().port}`)).stdout).toBe(
    'network/dcos\n',
  );
  const clear = await run('networks --server http://example.org');
  expect([clear.code, clear.stderr]).toEqual([2, expect.stringContaining('in the clear')]);
});

test('an unreachable API server, an expired token of the user, no kubeconfig', async () => {
  const nowhere = bed().plane.kubeconfigAt(`https://127.0.0.1:${await freePort()}`);
  const away = await run('networks', nowhere);
  expect([away.code, away.stderr]).toEqual([
    2,
    expect.stringMatching(/cannot be reached: .*ECONNREFUSED[^]*kubectl cluster-info/),
  ]);
  const expired = path.join(bed().temp.path, 'expired');
  const text = await bed().plane.kubectl('config', 'view', '--raw', '--flatten');
  writeFileSync(expired, text.replace(/token: .*/, 'token: old'));
  const old = await run('networks', expired);
  expect([old.code, old.stderr]).toEqual([2, expect.stringContaining('log in again')]);
  const none = await bed().command.run(['networks']);
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('give --kubeconfig')]);
});

test('an exec plugin gives the token; one that fails is named', async () => {
  const text = await bed().plane.kubectl('config', 'view', '--raw', '--flatten');
  const token = /token: (\S+)/.exec(text)?.[1] ?? '';
  const credential = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token },
  };
  const script = path.join(bed().temp.path, 'plugin');
  writeFileSync(script, `#!/bin/sh\necho '${JSON.stringify(credential)}'\n`, { mode: 0o755 });
  const write = (program: string) => {
    const file = path.join(bed().temp.path, `exec-${path.basename(program)}`);
    const exec = `exec: {apiVersion: client.authentication.k8s.io/v1, command: "${program}", interactiveMode: Never}`;
    writeFileSync(file, text.replace(/token: \S+/, exec));
    return file;
  };
  expect((await run('networks -o name', write(script))).stdout).toBe('network/dcos\n');
  const failed = await run('networks', write('/nonexistent/login'));
  expect([failed.code, failed.stderr]).toEqual([2, expect.stringContaining('/nonexistent/login')]);
});

test('an operator of another version, or another server, is reported', async () => {
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
  const { stdout } = {
    stdout: await bed().plane.kubectl('create', 'token', '-n', namespace, 'overlaynet-viewer'),
  };
  const ask = (route: string, method = 'GET') =>
    askSecurely(`127.0.0.1:${bed().port}`, route, { token: stdout.trim(), method });
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

test('the token for agents is refused by the API server and the operator', async () => {
  const token = await bed().agentToken();
  expect((await askSecurely(`127.0.0.1:${bed().port}`, '/api/v1/networks', { token })).status).toBe(401);
  expect((await askSecurely(new URL(bed().plane.server).host, '/api/v1/nodes', { token })).status).toBe(401);
  const at = bed().agent.address.replace('0.0.0.0', '127.0.0.1');
  expect((await askSecurely(at, '/overlay-agent/containers', { token })).status).toBe(200);
});

import { expect, jest } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { OverlayReservation } from '../../src/api/types.ts';
import { overlayReservations, pods } from '../../src/kube/resources.ts';
import { namespace } from '../support/commandbed.ts';
import { usesCommandBed } from '../support/usescommandbed.ts';
import { eventually } from '../support/eventually.ts';

// `bundle`, unpacked with this machine's tar: its required contents, and what it must not contain.

const { bed, run, client } = usesCommandBed();
// the command asks for everything, and check reads twice
jest.setTimeout(300_000);
const planted = {
  annotation: 'PLANTED-annotation-9f27c1',
  environment: 'PLANTED-environment-03aa1d',
  flag: 'PLANTED-flag-c4410b',
  log: 'PLANTED-log-5b1e77',
  secret: 'PLANTED-secret-d0e812',
  managed: 'ovt-planted-manager-77aa',
};
/** A token of a ServiceAccount, as it might occur in a log. */
let token: string;
const dir = () => path.join(bed().temp.path, 'bundle');

beforeAll(async () => {
  mkdirSync(dir());
  await bed().pass();
  bed().record('cafe', 'ovt-secret-pod', 'c-0123456789ab', '9.0.0.2');
  const spec = { nodeName: 'node1', containers: [{ name: 'web', image: 'x' }] };
  await client().create(pods('default'), { metadata: { name: 'ovt-secret-pod' }, spec });
  await bed().plane.kubectl('annotate', 'onet', 'dcos', `example.org/token=${planted.annotation}`);
  await bed().plane.kubectl('label', 'onet', 'dcos', 'a=b', `--field-manager=${planted.managed}`);
  const env = [{ name: 'UPSTREAM', value: planted.environment }];
  const args = ['--upstream-password', planted.flag];
  for (const name of ['ovt-agent-1', 'ovt-agent-2', 'ovt-agent-3']) {
    const labels = { 'app.kubernetes.io/name': 'overlaynet-agent' };
    const containers = [{ name: 'agent', image: 'x', env, args }];
    const agent = { nodeName: 'control', hostNetwork: true, containers };
    await client().create(pods(namespace), { metadata: { name, labels }, spec: agent });
  }
  await bed().plane.kubectl(
    ...['-n', namespace, 'create', 'secret', 'generic', 'ovt-secret', `--from-literal=a=${planted.secret}`],
  );
  const { apiVersion, kind } = overlayReservations;
  await client().create<OverlayReservation>(overlayReservations, {
    apiVersion,
    kind,
    metadata: { name: 'ovt-old' },
    spec: { nodeName: 'ovt-later', networks: [{ name: 'dcos', subnets: ['9.0.99.0/24'] }] },
  });
  token = await bed().agentToken();
  // the second has no log, and the third's node does not answer
  bed().kubelet.logs.set(
    'ovt-agent-1/agent',
    `2026-11-29T10:00:00.000Z info agent drew the kernel with ${token}\n`,
  );
  bed().kubelet.logs.set('ovt-agent-3/agent', { never: true });
  bed().kubelet.logs.set(
    'operator-1/operator',
    `2026-11-29T10:00:00.000Z warn operator refused authorization="Bearer ${planted.log}"\n` +
      '2026-11-29T10:00:01.000Z info operator answered pod=default/ovt-secret-pod\n' +
      '2026-11-29T10:00:02.000Z info operator answered pod=default/ovt-gone-pod\n',
  );
});

/** Returns every file of the archive, by its path without the first folder. */
function opened(file: string): Map<string, string> {
  const to = `${file}.d`;
  mkdirSync(to);
  execFileSync('tar', ['xzf', file, '-C', to]);
  const [top = ''] = readdirSync(to);
  const names = readdirSync(path.join(to, top), { recursive: true, encoding: 'utf8' });
  return new Map(
    names
      .filter((name) => statSync(path.join(to, top, name)).isFile())
      .map((name) => [name, readFileSync(path.join(to, top, name), 'utf8')]),
  );
}

test('the bundle has what a maintainer needs and no secret, and names a node that does not answer', async () => {
  const file = path.join(dir(), 'all.tar.gz');
  const began = performance.now();
  const { code, stdout, stderr } = await run(`bundle -o ${file}`);
  console.log(`bundle took ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  expect(stdout).toBe(`${file}\n`);
  expect(stderr).toContain('collecting operator/kernel.json');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(execFileSync('tar', ['tzf', file]).toString()).toContain('/README.txt\n');
  const files = opened(file);
  const text = (name: string) => files.get(name) ?? `no ${name}; missing: ${files.get('README.txt') ?? ''}`;
  expect(text('objects/overlaynetworks.json')).toContain('"Accepted"');
  expect(text('objects/overlayreservations.json')).toContain('9.0.99.0/24');
  expect(text('objects/agentallocations.json')).toContain('9.0.0.0/24');
  expect(text('objects/allocationledgers.json')).toContain('net-dcos-');
  expect(text('operator/containers.json')).toContain('ovt-secret-pod');
  expect(text('operator/kernel.json')).toContain('pod default/ovt-secret-pod');
  expect(text('logs/operator-1/operator.log')).toContain('answered pod=default/ovt-secret-pod');
  expect(text('logs/ovt-agent-1/agent.log')).toContain('agent drew the kernel');
  expect(stderr).toMatch(/not in it: logs\/ovt-agent-2\/agent\.log: .*log of ovt-agent-2\/agent: 404/);
  expect(stderr).toMatch(/not in it: logs\/ovt-agent-3\/agent\.log: .*no answer within 15000 ms/);
  expect(text('versions.json')).toContain('"gitVersion"');
  expect(text('status.txt')).toMatch(/NOT HEALTHY[^]*exit status 1/);
  expect(text('check.txt')).toContain('exit status');
  expect([...files.keys()]).toEqual(
    expect.arrayContaining(['events/default.json', `events/${namespace}.json`]),
  );
  const whole = [...files.values()].join('\n');
  for (const secret of [...Object.values(planted), token]) expect(whole).not.toContain(secret);
  expect(whole).not.toMatch(/eyJ[\w-]{10,}\.|PRIVATE KEY/);
  expect(whole).not.toContain('"managedFields"');
  // two logs are missing
  expect(code).toBe(1);
  // no other test waits 15 s for it
  bed().kubelet.logs.delete('ovt-agent-3/agent');
});

test('--anonymise replaces each pod name with the same hash everywhere', async () => {
  const file = path.join(dir(), 'hashed.tar.gz');
  expect(await run(`bundle --anonymise -o ${file}`)).toMatchObject({ stdout: `${file}\n` });
  const files = opened(file);
  const whole = [...files.values()].join('\n');
  expect(whole).not.toContain('ovt-secret-pod');
  expect(whole).not.toContain('ovt-gone-pod');
  const [, hash = '-'] =
    /"pod": "(pod-[0-9a-f]{10})"/.exec(files.get('operator/containers.json') ?? '') ?? [];
  expect(files.get('logs/operator-1/operator.log')).toContain(`answered pod=default/${hash}\n`);
  expect(files.get('operator/kernel.json')).toContain(`pod default/${hash}`);
  expect(files.get('objects/overlaynetworks.json')).toContain('"dcos"');
});

test('the bundle names what the user may not read, and contains the rest', async () => {
  const user = await bed().plane.kubeconfigFor({ name: 'ovt-command', namespace });
  const binding = [
    'create',
    'rolebinding',
    '-n',
    namespace,
    'ovt-command',
    '--clusterrole=overlaynet-command',
  ];
  await bed().plane.kubectl(...binding, `--serviceaccount=${namespace}:ovt-command`);
  const file = path.join(dir(), 'some.tar.gz');
  const { code, stderr } = await run(`bundle -o ${file}`, user);
  expect(code).toBe(1);
  expect(stderr).toMatch(/not in it: objects\/overlaynetworks.json: you lack a right/);
  expect(stderr).toMatch(/not in it: logs\/operator-1\/operator.log: you lack a right: log of .*pods\/log/);
  const files = opened(file);
  expect(files.get('operator/networks.json')).toContain('dcos');
  const hashed = await run(`bundle --anonymise -o ${file}.hashed`, user);
  expect([hashed.code, hashed.stderr]).toEqual([
    2,
    expect.stringContaining('you lack a right: list namespaces'),
  ]);
  expect(files.get('README.txt')).toContain('- objects/overlaynetworks.json: you lack a right');
});

test('Ctrl-C leaves no file, and an existing file is not overwritten', async () => {
  const file = path.join(dir(), 'half.tar.gz');
  const child = spawn(bed().command.file, ['bundle', '-o', file], {
    env: { PATH: process.env.PATH, KUBECONFIG: bed().plane.kubeconfig },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const over = new Promise<number | null>((resolve) => child.on('close', resolve));
  await eventually(
    () => Promise.resolve(said),
    (text) => text.includes('collecting operator/'),
    { seconds: 120 },
  );
  const during = readdirSync(dir()).filter((name) => name.startsWith('half'));
  child.kill('SIGINT');
  expect(await over).toBe(130);
  expect(during).toEqual([expect.stringMatching(/^half\.tar\.gz\.\d+\.part$/)]);
  expect(readdirSync(dir()).filter((name) => name.startsWith('half'))).toEqual([]);
  writeFileSync(file, 'mine');
  const refused = await run(`bundle -o ${file}`);
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('there is such a file')]);
  expect(readFileSync(file, 'utf8')).toBe('mine');
  expect((await run('bundle -o /nonexistent/x.tar.gz')).stderr).toMatch(
    /cannot be written: [^]*directory of yours/,
  );
});

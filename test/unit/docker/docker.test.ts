import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { Docker } from '../../../src/docker/docker.ts';
import { Engine } from '../../../src/docker/engine.ts';
import { silent } from '../../../src/log.ts';
import { cluster } from '../../support/cluster.ts';
import { FakeEngine } from '../../support/fakeengine.ts';

let fake: FakeEngine;
let docker: Docker;
beforeEach(async () => {
  fake = new FakeEngine();
  await fake.up();
  docker = new Docker({ engine: new Engine(fake.socket), run: fake.run, log: silent });
});
afterEach(() => fake.drop());

const names = () => fake.networks.map(({ Name }) => Name);

test('an engine with nftables gets nothing and loses nothing, and every network says why', async () => {
  await docker.reconcile(cluster(1, 0));
  fake.version = { Version: '29.1.0', ApiVersion: '1.52', MinAPIVersion: '1.44' };
  fake.info = { FirewallBackend: { Driver: 'nftables' } };
  const upgraded = new Docker({ engine: new Engine(fake.socket), run: fake.run, log: silent });
  fake.networks.pop();
  expect(await upgraded.reconcile(cluster(1, 0))).toBe(false);
  expect(names()).toEqual(['dcos']);
  expect(upgraded.finding).toMatchObject({ status: 'False', reason: 'Unsupported' });
  expect(upgraded.finding.message).toMatch(
    /^Docker: overlaynet does not work with this engine \(29\.1\.0\): its firewall backend is nftables/,
  );
  expect(upgraded.failures.map(({ network }) => network)).toEqual(['dcos', 'dcos6']);
  expect(upgraded.blocks).toEqual([{ name: 'dcos', subnets: ['9.0.0.0/24'] }]);
});

test('a network from before an upgrade to Docker 28 is made anew', async () => {
  await docker.reconcile(cluster(1, 0));
  fake.version = { Version: '28.0.0', ApiVersion: '1.48', MinAPIVersion: '1.24' };
  await fake.down();
  await docker.reconcile(cluster(1, 0));
  await fake.up();
  fake.containers.set('web', { network: 'dcos', running: true });
  const before = fake.networks.map(({ Id }) => Id);
  await docker.reconcile(cluster(1, 0));
  expect(docker.failures).toEqual([
    { network: 'dcos', message: expect.stringContaining('another MTU or mode than it should') },
  ]);
  fake.containers.clear();
  await docker.reconcile(cluster(1, 0));
  expect(docker.failures).toEqual([]);
  expect(fake.networks.map(({ Id }) => Id).some((id) => before.includes(id))).toBe(false);
});

test('of many containers that stand in the way ten are named', async () => {
  await docker.reconcile(cluster(1, 0));
  for (let n = 10; n < 22; n++) fake.containers.set(`c${n}`, { network: 'dcos', running: true });
  await docker.reconcile({ ...cluster(1, 0), networks: [] });
  expect(docker.finding.message).toMatch(/left it: c10, .*, c19 and 2 more$/);
  expect(names()).toEqual(['dcos']);
});

test('an engine that goes leaves what is known of its blocks; one that never was there has none', async () => {
  await fake.down();
  await docker.reconcile(cluster(1, 0));
  expect(docker.finding).toMatchObject({ status: 'True', reason: 'NoEngine' });
  expect(docker.blocks).toEqual([]);
  await fake.up();
  await docker.reconcile(cluster(1, 0));
  await fake.down();
  await docker.reconcile(cluster(1, 0));
  expect(docker.blocks?.map(({ name }) => name)).toEqual(['dcos', 'dcos6']);
});

test('one that was killed before it could be asked may have networks: of its blocks nothing is known', async () => {
  const script = 'require("net").createServer().listen(process.argv[1], () => console.log("up"))';
  await fake.down();
  const killed = spawn(process.execPath, ['-e', script, fake.socket]);
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  await docker.reconcile(cluster(1, 0));
  expect(docker.finding).toMatchObject({
    status: 'True',
    reason: 'NoEngine',
    message: `the Docker engine does not run: nobody answers at ${fake.socket}`,
  });
  expect(docker.blocks).toBeUndefined();
  rmSync(fake.socket);
});

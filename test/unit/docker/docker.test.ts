import { Docker } from '../../../src/docker/docker.ts';
import { Engine } from '../../../src/docker/engine.ts';
import type { DockerNetwork } from '../../../src/docker/networks.ts';
import { silent } from '../../../src/log.ts';
import { cluster } from '../../support/cluster.ts';
import { FakeEngine } from '../../support/fakeengine.ts';
import { eventually } from '../../support/eventually.ts';

let fake: FakeEngine;
let docker: Docker;
beforeEach(async () => {
  fake = new FakeEngine();
  await fake.up();
  docker = agent();
});
afterEach(() => fake.drop());

const agent = (links = fake.links) => new Docker({ engine: new Engine(fake.socket), links, log: silent });
const asked = (method: string) => fake.requests.filter((request) => request.startsWith(method)).length;
const names = () => fake.networks.map(({ Name }) => Name);

test('an engine with nftables is not changed, and every network says why', async () => {
  await docker.reconcile(cluster(1, 0));
  fake.version = { Version: '29.1.0', ApiVersion: '1.52', MinAPIVersion: '1.44' };
  fake.info = { FirewallBackend: { Driver: 'nftables' } };
  const upgraded = agent();
  fake.networks.pop();
  expect(await upgraded.reconcile(cluster(1, 0))).toEqual({ made: false });
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

test('a dry cleanup names the networks that a real one removes, and those that containers keep', async () => {
  await docker.reconcile(cluster(1, 0));
  fake.containers.set('web', { network: 'dcos', running: true });
  const kept = { network: 'dcos', message: expect.stringContaining('left it: web') };
  for (const dry of [true, false]) {
    expect(names()).toEqual(['dcos', 'dcos6']);
    expect(await docker.cleanup({ dry })).toEqual({ removed: ['dcos6'], failures: [kept] });
  }
  expect(names()).toEqual(['dcos']);
});

test('ten of many blocking containers are named', async () => {
  await docker.reconcile(cluster(1, 0));
  for (let n = 10; n < 22; n++) fake.containers.set(`c${n}`, { network: 'dcos', running: true });
  await docker.reconcile({ ...cluster(1, 0), networks: [] });
  expect(docker.finding.message).toMatch(/left it: c10, .*, c19 and 2 more$/);
  expect(names()).toEqual(['dcos']);
});

test('an engine that stops leaves its last known blocks; one that never answered has no blocks', async () => {
  await fake.down();
  await docker.reconcile(cluster(1, 0));
  expect(docker.finding).toMatchObject({ status: 'True', reason: 'NoEngine' });
  expect(docker.blocks).toEqual([]);
  await fake.up();
  await docker.reconcile(cluster(1, 0));
  await fake.down();
  await docker.reconcile(cluster(1, 0));
  expect(docker.blocks?.map(({ name }) => name)).toEqual(['dcos', 'dcos6']);
  expect(docker.finding.message).toBe(
    `there is no Docker engine: no ${fake.socket}; until one answers, the node keeps the blocks of dcos, dcos6`,
  );
});

test('networks that an engine had before this process count until an engine answers', async () => {
  const known = { ...cluster(1, 0), docker: [{ name: 'old', subnets: ['9.0.7.0/24'] }] };
  await fake.down();
  await docker.reconcile(known);
  expect(docker.blocks).toEqual(known.docker);
  const killed = agent();
  await fake.kill();
  await killed.reconcile(known);
  expect(killed.blocks).toEqual(known.docker);
  await fake.up();
  await docker.reconcile(known);
  expect(docker.blocks?.map(({ name }) => name)).toEqual(['dcos', 'dcos6']);
});

test('a network is recorded before it is made, and forgotten if that fails', async () => {
  fake.refused.add('dcos6');
  const recorded: unknown[] = [];
  const record = () => {
    recorded.push([names(), docker.blocks?.map(({ name }) => name)]);
  };
  const { made, error } = await docker.reconcile(cluster(1, 0), { record });
  expect(recorded).toEqual([[[], ['dcos', 'dcos6']]]);
  expect(docker.blocks?.map(({ name }) => name)).toEqual(['dcos']);
  // the rules of the new network are before ours, even if the other one failed
  expect(made).toBe(true);
  expect(error?.message).toContain('Pool overlaps');
  expect(await docker.reconcile(cluster(1, 0))).toMatchObject({ made: false, error: expect.any(Error) });
});

test('a network that admits no new containers is not made, and stays if it exists', async () => {
  const closed = new Map([['dcos6', 'a rule is not in place']]);
  await docker.reconcile(cluster(1, 0), { closed });
  expect(names()).toEqual(['dcos']);
  await docker.reconcile(cluster(1, 0));
  expect(names()).toEqual(['dcos', 'dcos6']);
  await docker.reconcile(cluster(1, 0), { closed });
  expect(names()).toEqual(['dcos', 'dcos6']);
});

test('an engine whose networks have no links here is tried once, until it restarts', async () => {
  const stranger = agent(() => new Set());
  for (let run = 0; run < 3; run++) expect(await stranger.reconcile(cluster(1, 0))).toEqual({ made: false });
  expect([asked('POST'), asked('DELETE'), names()]).toEqual([1, 1, []]);
  expect(stranger.finding).toEqual({
    type: 'Docker',
    status: 'False',
    reason: 'Unsupported',
    message:
      'Docker: overlaynet does not work with this engine (20.10.24): it is in another network namespace or machine: it made no link d-dcos here',
  });
  expect(stranger.failures.map(({ network }) => network)).toEqual(['dcos', 'dcos6']);
  const restarts: boolean[] = [];
  const watch = stranger.watch((restarted) => restarts.push(restarted));
  await eventually(
    () => restarts,
    (seen) => seen.includes(true),
  );
  watch.stop();
  await stranger.reconcile(cluster(1, 0));
  expect(asked('POST')).toBe(2);
});

test('a network whose bridge is gone is made anew; one with containers that run says so', async () => {
  await docker.reconcile(cluster(1, 0));
  const [dcos] = fake.networks as [DockerNetwork];
  fake.bridgeless.add(dcos.Id);
  fake.containers.set('web', { network: 'dcos', running: true });
  expect(await docker.reconcile(cluster(1, 0))).toEqual({ made: false });
  expect(docker.finding).toMatchObject({ status: 'False', reason: 'Failed' });
  expect(docker.failures).toEqual([
    {
      network: 'dcos',
      message:
        'Docker: the bridge d-dcos of network dcos is gone, and these containers are cut off: web; restart Docker, or stop them and the network is recreated',
    },
  ]);
  fake.containers.set('web', { network: 'dcos', running: false });
  expect(await docker.reconcile(cluster(1, 0))).toEqual({ made: true });
  expect(docker.finding.reason).toBe('Applied');
  expect(fake.networks.map(({ Id }) => Id)).not.toContain(dcos.Id);
});

test('an engine that was killed before its first answer may have networks with unknown blocks', async () => {
  await fake.kill();
  await docker.reconcile(cluster(1, 0));
  expect(docker.finding).toMatchObject({
    status: 'True',
    reason: 'NoEngine',
    message: `the Docker engine does not run: no process answers at ${fake.socket}`,
  });
  expect(docker.blocks).toBeUndefined();
});

test('the Docker network of an overlay that is being deleted goes with its last container, and until then is no failure', async () => {
  await docker.reconcile(cluster(1, 0));
  fake.containers.set('web', { network: 'dcos', running: true, address: '9.0.0.130' });
  const going = cluster(1, 0);
  going.networks = going.networks.map((network) =>
    network.metadata.name === 'dcos'
      ? { ...network, metadata: { ...network.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }
      : network,
  );
  await docker.reconcile(going);
  expect([names().toSorted(), docker.failures]).toEqual([['dcos', 'dcos6'], []]);
  expect(await docker.endpoints()).toEqual([{ network: 'dcos', container: 'web', addresses: ['9.0.0.130'] }]);
  fake.containers.clear();
  await docker.reconcile(going);
  expect(names()).toEqual(['dcos6']);
  expect(await docker.endpoints()).toEqual([]);
});

test('without an answer, the engine’s last report of its containers counts', async () => {
  await docker.reconcile(cluster(1, 0));
  fake.containers.set('web', { network: 'dcos', running: true, address: '9.0.0.130' });
  const before = await docker.endpoints();
  expect(before).toHaveLength(1);
  await fake.down();
  expect(await docker.endpoints()).toEqual(before);
  await fake.up();
});

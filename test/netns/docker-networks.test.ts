import { Docker } from '../../src/docker/docker.ts';
import { Engine } from '../../src/docker/engine.ts';
import { silent } from '../../src/log.ts';
import { cluster, type ClusterOptions } from '../support/cluster.ts';
import { withEngine, type Dockerd } from '../support/dockerd.ts';
import type { Netns } from '../support/netns.ts';

const reference = cluster(2, 1);

let netns: Netns;
let engine: Dockerd;
let docker: Docker;

withEngine((own, started) => {
  netns = own;
  engine = started;
});

beforeEach(async () => {
  docker = agent();
  expect(await docker.reconcile(reference)).not.toHaveProperty('error');
});
afterEach(async () => {
  const containers = await engine.docker('ps -aq');
  if (containers !== '') await engine.docker(`rm -f ${containers.split('\n').join(' ')}`);
  const networks = await engine.docker('network ls -q --filter type=custom');
  if (networks !== '') await engine.docker(`network rm ${networks.split('\n').join(' ')}`);
});

const agent = () => new Docker({ engine: new Engine(engine.socket), links: netns.links, log: silent });

/** Returns `dcos 9.0.1.128/25 …` for each network that is not Docker's own. */
async function networks(): Promise<string[]> {
  const ids = (await engine.docker('network ls -q --no-trunc --filter type=custom')).split('\n').join(' ');
  if (ids === '') return [];
  const format = '{{.Name}}{{range.IPAM.Config}},{{.Subnet}},{{.Gateway}}{{end}}';
  return (await engine.docker(`network inspect -f ${format} ${ids}`)).split('\n').sort();
}
const ids = () => engine.docker('network ls -q --no-trunc --filter type=custom');
const words = () => docker.failures.map(({ network, message }) => `${network ?? ''}: ${message}`);

/** `dcos` with another subnet; `dcos6` is unchanged. */
const moved = (options: ClusterOptions = {}) =>
  cluster(2, 1, {
    ...options,
    networks: [
      { name: 'dcos', subnets: [{ cidr: '10.0.0.0/8', prefix: 24 }] },
      { name: 'dcos6', subnets: [{ cidr: 'fd01:b::/64', prefix: 80 }] },
    ],
  });
const without = (name: string) => ({
  ...reference,
  networks: reference.networks.filter(({ metadata }) => metadata.name !== name),
});

const made = [
  'dcos,9.0.1.128/25,9.0.1.129',
  // Docker before version 28 also takes an IPv4 pool
  /^dcos6(,24\d\.\S+\/21,24\d\.\S+\.1)?,fd01:b::1:8000:0:0\/81,fd01:b::1:8000:0:1$/,
];

test('every overlay with a Docker half gets a network; a second pass, or another agent, changes nothing', async () => {
  expect(await networks()).toEqual([made[0], expect.stringMatching(made[1]!)]);
  expect(docker.finding).toEqual({
    type: 'Docker',
    status: 'True',
    reason: 'Applied',
    message: expect.stringMatching(/^Docker \d+\.\S+ has dcos, dcos6$/),
  });
  expect(await netns.sh('ip -o addr show d-dcos')).toContain('9.0.1.129/25');
  expect(docker.blocks).toEqual(
    expect.arrayContaining([
      { name: 'dcos', subnets: ['9.0.1.0/24'] },
      { name: 'dcos6', subnets: ['fd01:b:0:0:1::/80'] },
    ]),
  );
  const before = await ids();
  for (const each of [docker, agent()]) expect(await each.reconcile(reference)).toEqual({ made: false });
  expect(await ids()).toBe(before);
});

test('a restart of the engine does not change the networks', async () => {
  const before = await ids();
  await engine.down();
  expect(await docker.reconcile(reference)).toEqual({ made: false });
  expect(docker.finding).toMatchObject({ status: 'True', reason: 'NoEngine' });
  expect(docker.blocks).toHaveLength(2);
  await engine.up();
  expect(await docker.reconcile(reference)).toEqual({ made: false });
  expect(docker.finding).toMatchObject({ status: 'True', reason: 'Applied' });
  expect(await ids()).toBe(before);
});

test('a network that was deleted by hand is made again', async () => {
  await engine.docker('network rm dcos');
  expect(await docker.reconcile(reference)).toEqual({ made: true });
  expect(await networks()).toContain('dcos,9.0.1.128/25,9.0.1.129');
});

test('a missing bridge with containers is reported, and both remedies in the message work', async () => {
  await engine.container('web', 'dcos');
  const lose = async () => {
    await netns.sh('ip link del d-dcos');
    await docker.reconcile(reference);
    expect(words()).toEqual([
      'dcos: Docker: the bridge d-dcos of network dcos is gone, and these containers are cut off: web; restart Docker, or stop them and the network is recreated',
    ]);
    expect(docker.finding.reason).toBe('Failed');
  };
  await lose();
  await engine.down();
  await engine.up();
  expect(await docker.reconcile(reference)).toEqual({ made: false });
  expect(words()).toEqual([]);
  await engine.docker('start web');
  await lose();
  await engine.docker('stop web');
  expect(await docker.reconcile(reference)).toEqual({ made: true });
  expect(words()).toEqual([]);
  expect(await netns.sh('ip -o addr show d-dcos')).toContain('9.0.1.129/25');
});

describe('an obstacle is reported and not changed', () => {
  beforeEach(() => engine.docker('network rm dcos'));

  test('a foreign network with our name', async () => {
    await engine.docker('network create --subnet 10.9.0.0/24 dcos');
    const before = await ids();
    await docker.reconcile(reference);
    expect(words()).toEqual([
      expect.stringMatching(
        /^dcos: Docker: a network named dcos \(bridge, [0-9a-f]{12}\) exists already and is not overlaynet's/,
      ),
    ]);
    expect(docker.finding).toMatchObject({
      status: 'False',
      reason: 'Failed',
      message: words()[0]!.slice(6),
    });
    expect(await ids()).toBe(before);
    await engine.docker('network rm dcos');
    await docker.reconcile(reference);
    expect(words()).toEqual([]);
    expect(await networks()).toContain('dcos,9.0.1.128/25,9.0.1.129');
  });

  test('a network with our label and another name', async () => {
    await engine.docker('network create --label dev.overlaynet.network=dcos copy');
    await docker.reconcile(without('dcos'));
    expect((await networks()).map((text) => text.replace(/,.*/, ''))).toEqual(['copy', 'dcos6']);
  });

  test('a foreign network with our bridge', async () => {
    await engine.docker('network create -o com.docker.network.bridge.name=d-dcos other');
    await docker.reconcile(reference);
    expect(words()).toEqual([
      "dcos: Docker: network other has the bridge d-dcos, and is not overlaynet's; it is left as it is",
    ]);
  });

  test('a foreign link with our bridge’s name', async () => {
    await netns.sh('ip link add d-dcos type bridge');
    await docker.reconcile(reference);
    expect(words()).toEqual([
      "dcos: Docker: a link named d-dcos exists already, and no network of Docker's has it; it is left as it is",
    ]);
    await netns.sh('ip link del d-dcos');
  });

  test('a foreign network with our subnet: the report quotes Docker, and the other networks are made', async () => {
    await engine.docker('network rm dcos6');
    await engine.docker('network create --subnet 9.0.0.0/16 other');
    const { made: any, error } = await docker.reconcile(reference);
    expect(error?.message).toContain('Pool overlaps');
    expect(any).toBe(true);
    expect(words()).toEqual([
      expect.stringMatching(
        /^dcos: Docker: (invalid pool request: )?Pool overlaps .* \(POST \/v1\.\d+\/networks\/create: 403\)$/,
      ),
    ]);
    expect(await networks()).toContainEqual(expect.stringMatching(made[1]!));
  });
});

describe('a network that differs', () => {
  test('is made anew if no container uses it', async () => {
    expect(await docker.reconcile(moved({ mtu: 1300 }))).toEqual({ made: true });
    expect(await networks()).toEqual(['dcos,10.0.1.128/25,10.0.1.129', expect.stringMatching(made[1]!)]);
    expect(await engine.docker('network inspect -f {{.Options}} dcos')).toContain('driver.mtu:1300');
  });

  test('waits for its containers, names them, and keeps their block', async () => {
    await engine.container('web', 'dcos');
    await docker.reconcile(moved());
    expect(words()).toEqual([
      'dcos: Docker: network dcos has another subnet than it should; it is recreated once these containers have left it: web',
    ]);
    expect(docker.finding.reason).toBe('Blocked');
    expect(docker.blocks).toContainEqual({ name: 'dcos', subnets: ['9.0.1.0/24'] });
    await engine.docker('rm -f web');
    await docker.reconcile(moved());
    expect(words()).toEqual([]);
    expect(docker.blocks).toContainEqual({ name: 'dcos', subnets: ['10.0.1.0/24'] });
  });

  test('waits for a stopped container, too, because Docker could not start it on another network', async () => {
    await engine.container('web', 'dcos');
    await engine.docker('stop web');
    await docker.reconcile(cluster(2, 1, { mtu: 1300 }));
    expect(words()).toEqual([
      expect.stringContaining(
        'another MTU or mode than it should; it is recreated once these containers have left it: web',
      ),
    ]);
    await engine.docker('start web');
  });
});

describe('an overlay that is deleted', () => {
  test('loses its Docker network', async () => {
    await docker.reconcile(without('dcos'));
    expect(await networks()).toEqual([expect.stringMatching(made[1]!)]);
    expect((await netns.try('ip link show d-dcos')).code).not.toBe(0);
    expect(docker.blocks).toEqual([{ name: 'dcos6', subnets: ['fd01:b:0:0:1::/80'] }]);
  });

  test('waits for its containers', async () => {
    for (const name of ['web', 'db']) await engine.container(name, 'dcos');
    await docker.reconcile(without('dcos'));
    const blocker =
      'Docker: network dcos is not wanted here any more; it is removed once these containers have left it';
    expect(docker.finding).toMatchObject({
      status: 'False',
      reason: 'Blocked',
      message: `${blocker}: db, web`,
    });
    expect(docker.blocks).toContainEqual({ name: 'dcos', subnets: ['9.0.1.0/24'] });
    await engine.docker('rm -f db');
    await engine.docker('network disconnect dcos web');
    await docker.reconcile(without('dcos'));
    expect(docker.finding.status).toBe('True');
    expect(await networks()).toEqual([expect.stringMatching(made[1]!)]);
  });

  test('keeps its network while it drains, and gets no new one', async () => {
    const [dcos, dcos6] = reference.networks as [
      (typeof reference.networks)[0],
      (typeof reference.networks)[0],
    ];
    const subnets = dcos.spec.subnets.map((subnet) => ({ ...subnet, state: 'Draining' as const }));
    const draining = { ...reference, networks: [{ ...dcos, spec: { ...dcos.spec, subnets } }, dcos6] };
    const before = await ids();
    await docker.reconcile(draining);
    expect(await ids()).toBe(before);
    await engine.docker('network rm dcos');
    await docker.reconcile(draining);
    expect(await networks()).toEqual([expect.stringMatching(made[1]!)]);
    expect(words()).toEqual([]);
  });
});

test('cleanup removes our networks, except those with containers, and nothing else', async () => {
  await engine.docker('network create other');
  await engine.container('web', 'dcos');
  expect(await docker.cleanup()).toEqual({
    removed: ['dcos6'],
    failures: [{ network: 'dcos', message: expect.stringContaining('left it: web') }],
  });
  await engine.docker('rm -f web');
  expect(await docker.cleanup()).toEqual({ removed: ['dcos'], failures: [] });
  expect((await networks()).map((text) => text.replace(/,.*/, ''))).toEqual(['other']);
});

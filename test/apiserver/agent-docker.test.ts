import { Docker } from '../../src/docker/docker.ts';
import { Engine } from '../../src/docker/engine.ts';
import { silent } from '../../src/log.ts';
import { overlayNetworks } from '../../src/kube/resources.ts';
import { FakeEngine } from '../support/fakeengine.ts';
import { node2 } from '../unit/agent/fixture.ts';
import { Bench, condition, eventually, states } from './agent-harness.ts';

let bench: Bench;
let engine: FakeEngine;
beforeAll(async () => {
  bench = await Bench.start();
}, 60_000);
afterAll(async () => {
  await bench.stop();
});
beforeEach(async () => {
  await bench.reset();
  engine = new FakeEngine();
  bench.node.docker = new Docker({ engine: new Engine(engine.socket), run: engine.run, log: silent });
});
afterEach(async () => {
  await bench.node.stop();
  await engine.drop();
});

const names = () => engine.networks.map(({ Name }) => Name).sort();

test('an engine that comes later gets its networks, and what someone removes from it comes back', async () => {
  await bench.running();
  expect(condition(await bench.stored(), 'Docker')).toMatchObject({ status: 'True', reason: 'NoEngine' });
  const passes = bench.node.kernel.snapshots.length;
  await engine.up();
  await eventually(() => {
    expect(names()).toEqual(['dcos', 'dcos6']);
  });
  await eventually(async () => {
    expect(condition(await bench.stored(), 'Docker')).toMatchObject({ status: 'True', reason: 'Applied' });
  });
  // its rules are ahead of ours: the kernel is looked at, too
  expect(bench.node.kernel.snapshots.length).toBeGreaterThan(passes);
  engine.networks.splice(0, 1);
  engine.event();
  await eventually(() => {
    expect(names()).toEqual(['dcos', 'dcos6']);
  });
  await engine.down();
  await eventually(async () => {
    expect(condition(await bench.stored(), 'Docker')?.reason).toBe('NoEngine');
  });
});

test('what stands in Docker’s way fails that network, and leaves its pods alone', async () => {
  await engine.up();
  engine.add({ Name: 'dcos' });
  const agent = await bench.node.start(bench.plane.kubeconfig);
  await eventually(() => bench.stored());
  await bench.operator.allocate('node2', node2);
  await eventually(async () => {
    const stored = await bench.stored();
    expect(states(stored)).toEqual(['dcos Failed', 'dcos6 OK']);
    expect(stored.status?.networks?.[0]?.message).toContain(
      'Docker: a network named dcos (bridge, 000000000000) exists already',
    );
    expect(condition(stored, 'Docker')).toMatchObject({ status: 'False', reason: 'Failed' });
    expect(condition(stored, 'DataPathReady')?.status).toBe('True');
    expect(stored.status?.revision).toBe(3);
  });
  expect(agent.ready).toBe(true);
  engine.networks.splice(0, 1);
  engine.event();
  await bench.settled();
});

test('the blocks of containers that stay are held until they go, in the words of the registration', async () => {
  await engine.up();
  await bench.running();
  await eventually(() => {
    expect(names()).toEqual(['dcos', 'dcos6']);
  });
  engine.containers.set('web', { network: 'dcos', running: true });
  await bench.plane.client.delete(overlayNetworks, 'dcos');
  const networks = node2.networks!.filter(({ name }) => name !== 'dcos');
  await bench.operator.allocate('node2', { ...node2, revision: 4, networks });
  const held = async () =>
    (await bench.stored()).spec.networks?.map(({ name, subnets }) => `${name} ${subnets.join()}`);
  await eventually(async () => {
    expect(condition(await bench.stored(), 'Docker')).toMatchObject({
      status: 'False',
      reason: 'Blocked',
      message: expect.stringContaining('left it: web') as string,
    });
    expect(states(await bench.stored())).toEqual(['dcos6 OK']);
  });
  expect(await held()).toEqual(['dcos 9.0.1.0/24', 'dcos6 fd01:b:0:0:1::/80']);
  engine.containers.clear();
  engine.event();
  await eventually(async () => {
    expect(await held()).toEqual(['dcos6 fd01:b:0:0:1::/80']);
    expect(condition(await bench.stored(), 'Docker')?.reason).toBe('Applied');
  });
  expect(names()).toEqual(['dcos6']);
});

import { readFileSync, rmSync } from 'node:fs';
import { parseCheckpoint, type Checkpoint } from '../../src/agent/checkpoint.ts';
import { Docker } from '../../src/docker/docker.ts';
import { Engine } from '../../src/docker/engine.ts';
import { silent } from '../../src/log.ts';
import { FakeEngine } from '../support/fakeengine.ts';
import { node2 } from '../support/fixture.ts';
import { Bench, condition, eventually, states } from '../support/agent-harness.ts';

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
  bench.node.docker = docker();
});
afterEach(async () => {
  await bench.node.stop();
  await engine.drop();
});

const docker = () => new Docker({ engine: new Engine(engine.socket), links: engine.links, log: silent });
const names = () => engine.networks.map(({ Name }) => Name).sort();

test('an engine that comes later gets its networks, and what someone removes from it comes back', async () => {
  await bench.running();
  expect(condition(await bench.stored(), 'Docker')).toMatchObject({ status: 'True', reason: 'NoEngine' });
  await engine.up();
  await eventually(() => {
    expect(names()).toEqual(['dcos', 'dcos6']);
  });
  await eventually(async () => {
    expect(condition(await bench.stored(), 'Docker')).toMatchObject({ status: 'True', reason: 'Applied' });
  });
  const passes = await quiet(() => bench.node.kernel.snapshots.length);
  engine.networks.splice(0, 1);
  engine.event();
  await eventually(() => {
    expect(names()).toEqual(['dcos', 'dcos6']);
    // its rules are ahead of ours: the kernel is looked at, too
    expect(bench.node.kernel.snapshots.length).toBeGreaterThan(passes);
  });
  await engine.down();
  await eventually(async () => {
    expect(condition(await bench.stored(), 'Docker')?.reason).toBe('NoEngine');
  });
});

/** The value once it has not changed for a second. */
async function quiet(value: () => number): Promise<number> {
  for (let last = NaN; ;) {
    const now = value();
    if (now === last) return now;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** `dcos 9.0.1.0/24`: what the operator leaves to this node. */
const held = async () =>
  (await bench.stored()).spec.networks?.map(({ name, subnets }) => `${name} ${subnets.join()}`);
const both = ['dcos 9.0.1.0/24', 'dcos6 fd01:b:0:0:1::/80'];

/** The overlay is deleted, and the operator shows that. */
async function withdraw(): Promise<void> {
  await bench.operator.withdraw('dcos');
  await eventually(async () => {
    expect(states(await bench.stored())).toEqual(['dcos6 OK']);
  });
}

/** With this engine, or none. */
async function restart(next: Docker | undefined): Promise<void> {
  await bench.node.stop();
  bench.node.docker = next;
  bench.node.log.lines.length = 0;
  await bench.node.start(bench.plane.kubeconfig);
}

/** Until the agent says so of Docker, and has nothing more to write. */
async function says(reason: string): Promise<string | undefined> {
  const found = await eventually(async () => {
    const docker = condition(await bench.stored(), 'Docker');
    expect(docker?.reason).toBe(reason);
    return docker;
  });
  await quiet(() => bench.node.kernel.snapshots.length);
  return found?.message;
}

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
  await withdraw();
  await eventually(async () => {
    expect(condition(await bench.stored(), 'Docker')).toMatchObject({
      status: 'False',
      reason: 'Blocked',
      message: expect.stringContaining('left it: web') as string,
    });
    expect(states(await bench.stored())).toEqual(['dcos6 OK']);
  });
  expect(await held()).toEqual(both);
  engine.containers.clear();
  engine.event();
  await eventually(async () => {
    expect(await held()).toEqual(['dcos6 fd01:b:0:0:1::/80']);
    expect(condition(await bench.stored(), 'Docker')?.reason).toBe('Applied');
  });
  expect(names()).toEqual(['dcos6']);
});

test('an agent that starts while its engine is away, or without a socket, still holds what the engine had', async () => {
  await engine.up();
  await bench.running();
  await says('Applied');
  engine.containers.set('web', { network: 'dcos', running: true });
  await withdraw();
  expect(await says('Blocked')).toContain('left it: web');
  await engine.down();
  await restart(docker());
  expect(await says('NoEngine')).toContain('the node keeps the blocks of dcos, dcos6');
  expect(await held()).toEqual(both);
  await engine.kill();
  await restart(docker());
  expect(await says('NoEngine')).toContain('the node keeps the blocks of dcos, dcos6');
  expect(await held()).toEqual(both);
  await restart(undefined);
  expect(await says('NoSocket')).toContain('the engine had dcos, dcos6');
  expect(await held()).toEqual(both);
  // and guards it
  expect(bench.node.kernel.last?.docker?.map(({ name }) => name)).toEqual(['dcos', 'dcos6']);
  engine.containers.clear();
  await engine.up();
  await restart(docker());
  await says('Applied');
  expect(await held()).toEqual(['dcos6 fd01:b:0:0:1::/80']);
  expect(bench.node.kernel.last?.docker?.map(({ name }) => name)).toEqual(['dcos6']);
});

test('a network is in the checkpoint before Docker has it', async () => {
  const recorded: [string, string[]][] = [];
  engine.making = (network) => {
    const { snapshot } = parseCheckpoint(
      readFileSync(bench.node.at.path('state', 'checkpoint.json'), 'utf8'),
      'node2',
    ) as Checkpoint;
    recorded.push([network, snapshot.docker?.map(({ name }) => name) ?? []]);
  };
  await bench.running();
  await engine.up();
  await says('Applied');
  expect(recorded).toEqual(['dcos', 'dcos6'].map((network) => [network, ['dcos', 'dcos6']]));
});

test.each([false, true])(
  'an engine that never answered holds nothing (agent restarted: %s)',
  async (again) => {
    await engine.kill();
    await bench.running();
    if (again) await restart(docker());
    await bench.settled();
    await withdraw();
    await says('NoEngine');
    expect(await held()).toEqual(['dcos6 fd01:b:0:0:1::/80']);
  },
);

test('without a checkpoint, what was registered stands until the engine answers', async () => {
  await engine.kill();
  await bench.running();
  await bench.node.stop();
  rmSync(bench.node.at.path('state', 'checkpoint.json'));
  await restart(docker());
  await bench.settled();
  await withdraw();
  await says('NoEngine');
  expect(await held()).toEqual(both);
  await engine.up();
  await says('Applied');
  expect(await held()).toEqual(['dcos6 fd01:b:0:0:1::/80']);
});

test('a network that came while another failed has the kernel looked at', async () => {
  engine.refused.add('dcos6');
  await bench.running();
  await engine.up();
  await eventually(async () => {
    expect(condition(await bench.stored(), 'Docker')?.reason).toBe('Failed');
  });
  const passes = await quiet(() => bench.node.kernel.snapshots.length);
  engine.networks.splice(0, 1);
  engine.event();
  await eventually(() => {
    expect(names()).toEqual(['dcos']);
    expect(bench.node.kernel.snapshots.length).toBeGreaterThan(passes);
  });
});

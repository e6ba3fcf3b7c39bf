import { readFileSync, rmSync } from 'node:fs';
import { parseCheckpoint, type Checkpoint } from '../../src/agent/checkpoint.ts';
import { Docker } from '../../src/docker/docker.ts';
import { Engine } from '../../src/docker/engine.ts';
import { silent } from '../../src/log.ts';
import { FakeEngine } from '../support/fakeengine.ts';
import { node2 } from '../support/fixture.ts';
import { type Bench, condition, states, withBench } from '../support/agent-harness.ts';
import { eventually } from '../support/eventually.ts';

let bench: Bench;
let engine: FakeEngine;
withBench((started) => {
  bench = started;
});
beforeEach(() => {
  engine = new FakeEngine();
  bench.node.docker = docker();
});
afterEach(async () => {
  await bench.node.stop();
  await engine.drop();
});

const docker = () => new Docker({ engine: new Engine(engine.socket), links: engine.links, log: silent });
const names = () => engine.networks.map(({ Name }) => Name).sort();

test('an engine that starts later gets its networks, and a network that was removed by hand comes back', async () => {
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
    // Docker's rules are before ours, so that the kernel is compared, too
    expect(bench.node.kernel.snapshots.length).toBeGreaterThan(passes);
  });
  await engine.down();
  await eventually(async () => {
    expect(condition(await bench.stored(), 'Docker')?.reason).toBe('NoEngine');
  });
});

/** Returns the value once it has not changed for a second. */
async function quiet(value: () => number): Promise<number> {
  for (let last = NaN; ;) {
    const now = value();
    if (now === last) return now;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** Returns `dcos 9.0.1.0/24`: the blocks that the operator leaves to this node. */
const held = async () =>
  (await bench.stored()).spec.networks?.map(({ name, subnets }) => `${name} ${subnets.join()}`);
const both = ['dcos 9.0.1.0/24', 'dcos6 fd01:b:0:0:1::/80'];

/** Deletes the overlay and waits until the operator has withdrawn it. */
async function withdraw(): Promise<void> {
  await bench.operator.withdraw('dcos');
  await eventually(async () => {
    expect(states(await bench.stored())).toEqual(['dcos6 OK']);
  });
}

/** Restarts the agent with this engine, or with none. */
async function restart(next: Docker | undefined): Promise<void> {
  await bench.node.stop();
  bench.node.docker = next;
  bench.node.log.lines.length = 0;
  await bench.node.start(bench.plane.kubeconfig);
}

/** Waits until the agent reports that reason for Docker, and writes nothing more. */
async function says(reason: string): Promise<string | undefined> {
  const found = await eventually(async () => {
    const docker = condition(await bench.stored(), 'Docker');
    expect(docker?.reason).toBe(reason);
    return docker;
  });
  await quiet(() => bench.node.kernel.snapshots.length);
  return found?.message;
}

test('an obstacle for Docker is reported for that network, and does not affect its pods', async () => {
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

test('the registration keeps the blocks of remaining Docker containers until they end', async () => {
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

test('an agent that starts without its engine, or without a socket, keeps the blocks of the engine’s networks', async () => {
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
  // and guards these networks
  expect(bench.node.kernel.last?.docker?.map(({ name }) => name)).toEqual(['dcos', 'dcos6']);
  engine.containers.clear();
  await engine.up();
  await restart(docker());
  await says('Applied');
  expect(await held()).toEqual(['dcos6 fd01:b:0:0:1::/80']);
  expect(bench.node.kernel.last?.docker?.map(({ name }) => name)).toEqual(['dcos6']);
});

test('the checkpoint contains a network before Docker has it', async () => {
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

test('without a checkpoint, the last registration counts until the engine answers', async () => {
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

test('the kernel is compared after a new network, even if another network failed', async () => {
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

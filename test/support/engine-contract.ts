import { Engine } from '../../src/docker/engine.ts';
import { NoEngine } from '../../src/docker/socket.ts';
import { wantedNetworks } from '../../src/docker/networks.ts';
import { cluster } from './cluster.ts';
import { eventually } from './eventually.ts';

/** An engine, and actions of other users of it. */
export interface World {
  socket: string;
  run: (name: string, network: string) => Promise<unknown>;
  stop: (name: string) => Promise<unknown>;
  removeContainer: (name: string) => Promise<unknown>;
}

/** Tests that the fake engine and a real one both pass: what a client may rely on. */
export function engineContract(world: () => World): void {
  let engine: Engine;
  let minor: number;
  beforeEach(async () => {
    engine = new Engine(world().socket);
    ({ minor } = await engine.facts());
  });
  const wanted = () => wantedNetworks(cluster(1, 0), minor);
  const named = async (name: string) => (await engine.networks()).find(({ Name }) => Name === name);

  test('the engine reports its version and API, and that both are supported', async () => {
    const { version, minor, unsupported } = await engine.facts();
    expect(version).toMatch(/^[0-9]+\.[0-9]+\./);
    expect(minor).toBeGreaterThanOrEqual(41);
    expect(unsupported).toBeUndefined();
  });

  test('the engine reports its configured address pools', async () => {
    expect((await engine.facts()).pools).toEqual(['10.64.0.0/16']);
  });

  test('the engine lists a network with an id and the requested fields until it is removed', async () => {
    for (const { name, shape } of wanted()) {
      await engine.create(shape);
      const found = (await named(name))!;
      expect(found).toMatchObject(shape);
      expect(found.Id).toMatch(/^[0-9a-f]{64}$/);
      await engine.remove(found.Id);
      expect(await named(name)).toBeUndefined();
    }
  });

  test('the engine refuses a second network of the same name, and the removal of a missing network', async () => {
    const [{ shape }] = wanted() as [ReturnType<typeof wanted>[0]];
    await engine.create(shape);
    await expect(engine.create(shape)).rejects.toThrow(
      `network with name dcos already exists (POST /v1.${minor}/networks/create: 409)`,
    );
    const { Id } = (await named('dcos'))!;
    await engine.remove(Id);
    await expect(engine.remove(Id)).rejects.toThrow(/not found \(DELETE .*: 404\)$/);
  });

  test('the engine names the users of a network, and does not remove it while containers run on it', async () => {
    const [{ shape }] = wanted() as [ReturnType<typeof wanted>[0]];
    await engine.create(shape);
    const { Id } = (await named('dcos'))!;
    expect(await engine.users(Id)).toEqual({ running: [], stopped: [] });
    await world().run('web', 'dcos');
    expect(await engine.users(Id)).toEqual({ running: ['web'], stopped: [] });
    const [endpoint, ...others] = (await engine.endpoints()).filter(({ network }) => network === 'dcos');
    expect([endpoint, others]).toEqual([
      { network: 'dcos', container: 'web', addresses: [expect.stringMatching(/^9\.0\./)] },
      [],
    ]);
    expect(await engine.members(Id, 'dcos')).toEqual([
      {
        id: expect.any(String),
        name: 'web',
        mac: expect.stringMatching(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/),
        addresses: expect.arrayContaining([expect.stringMatching(/^9\.0\./)]),
        created: expect.stringMatching(/^20[0-9]{2}-.*Z$/),
      },
    ]);
    await expect(engine.remove(Id)).rejects.toThrow('has active endpoints');
    await world().stop('web');
    expect(await engine.users(Id)).toEqual({ running: [], stopped: ['web'] });
    expect((await engine.endpoints()).filter(({ network }) => network === 'dcos')).toEqual([]);
    expect(await engine.members(Id, 'dcos')).toEqual([]);
    await world().removeContainer('web');
    await engine.remove(Id);
  });

  test('the listener receives events until it ends', async () => {
    const seen = { open: false, events: 0 };
    const listening = new AbortController();
    const followed = engine.follow(
      () => (seen.open = true),
      () => seen.events++,
      listening.signal,
    );
    await eventually(
      () => seen.open,
      (open) => open,
    );
    await engine.create(wanted()[0]!.shape);
    await engine.remove((await named('dcos'))!.Id);
    await eventually(
      () => seen.events,
      (events) => events >= 2,
    );
    listening.abort();
    await expect(followed).rejects.toThrow();
  });

  test('the error says that no engine answers', async () => {
    const none = new Engine(`${world().socket}.none`);
    await expect(none.facts()).rejects.toThrow(NoEngine);
    await expect(none.facts()).rejects.toThrow(`there is no Docker engine: no ${world().socket}.none`);
  });
}

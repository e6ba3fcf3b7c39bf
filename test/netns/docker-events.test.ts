import { setTimeout as sleep } from 'node:timers/promises';
import { Docker } from '../../src/docker/docker.ts';
import { Engine } from '../../src/docker/engine.ts';
import { silent } from '../../src/log.ts';
import { cluster } from '../support/cluster.ts';
import { withEngine, type Dockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { Netns } from '../support/netns.ts';

const reference = cluster(2, 1);

let netns: Netns;
let engine: Dockerd;
let docker: Docker;

withEngine((own, started) => {
  netns = own;
  engine = started;
});

beforeAll(async () => {
  docker = new Docker({ engine: new Engine(engine.socket), links: netns.links, log: silent });
  expect(await docker.reconcile(reference)).not.toHaveProperty('error');
});

test('events arrive when a network is removed, a container leaves, or an engine restarts or stops', async () => {
  const events: boolean[] = [];
  const watch = docker.watch((restarted) => events.push(restarted));
  const next = async (restarted: boolean) => {
    await eventually(
      () => events,
      (seen) => seen.includes(restarted),
    );
    // wait for the events that follow, which would be taken for the next one's
    for (let seen = -1; seen !== events.length;) {
      seen = events.length;
      await sleep(500);
    }
    events.length = 0;
  };
  try {
    await next(true);
    await engine.container('web', 'dcos6');
    await next(false);
    await engine.docker('stop web');
    await next(false);
    // a network with a wrong MTU waits for this
    await engine.docker('rm web');
    await next(false);
    await engine.docker('network rm dcos');
    await next(false);
    await engine.down();
    await next(true);
    await engine.up();
    await next(true);
  } finally {
    watch.stop();
  }
});

test('an engine in another network namespace is detected, and gets no networks', async () => {
  const elsewhere = await Netns.create();
  await docker.cleanup();
  const stranger = new Docker({ engine: new Engine(engine.socket), links: elsewhere.links, log: silent });
  for (let run = 0; run < 2; run++) expect(await stranger.reconcile(reference)).toEqual({ made: false });
  expect(stranger.finding).toMatchObject({
    status: 'False',
    reason: 'Unsupported',
    message: expect.stringMatching(
      / it is in another network namespace or machine: it made no link d-dcos here$/,
    ),
  });
  expect(await engine.docker('network ls -q --filter type=custom')).toBe('');
  await elsewhere.delete();
});

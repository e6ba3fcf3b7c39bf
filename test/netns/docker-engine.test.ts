import { jest } from '@jest/globals';
import { Dockerd } from '../support/dockerd.ts';
import { engineContract } from '../support/engine-contract.ts';
import { Netns } from '../support/netns.ts';

jest.setTimeout(60_000);

describe('a real engine', () => {
  let netns: Netns;
  let engine: Dockerd;
  beforeAll(async () => {
    netns = await Netns.create();
    engine = await Dockerd.start(netns, ['--default-address-pool', 'base=10.64.0.0/16,size=24']);
    await engine.image();
  });
  afterAll(async () => {
    await engine.stop();
    await netns.delete();
  });

  engineContract(() => ({
    socket: engine.socket,
    run: (name, network) => engine.container(name, network),
    stop: (name) => engine.docker(`stop ${name}`),
    removeContainer: (name) => engine.docker(`rm -f ${name}`),
  }));
});

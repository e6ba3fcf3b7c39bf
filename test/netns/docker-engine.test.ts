import { Engine } from '../../src/docker/engine.ts';
import { contains, parseCidr } from '../../src/net/cidr.ts';
import { Dockerd } from '../support/dockerd.ts';
import { engineContract } from '../support/engine-contract.ts';
import { Netns } from '../support/netns.ts';

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

test('a real engine without configured pools takes networks from the pools that we report', async () => {
  const netns = await Netns.create();
  const engine = await Dockerd.start(netns);
  try {
    const client = new Engine(engine.socket);
    const pools = (await client.facts()).pools.map(parseCidr);
    // enough networks to reach the next pool
    for (let at = 0; at < 6; at++) await engine.docker(`network create ovt-plain${at}`);
    const made = (await client.networks()).filter(({ Name }) => Name.startsWith('ovt-plain'));
    const subnets = made.flatMap(({ IPAM }) => (IPAM.Config ?? []).flatMap(({ Subnet }) => Subnet ?? []));
    expect(subnets).toHaveLength(6);
    expect(subnets.filter((text) => !pools.some((pool) => contains(pool, parseCidr(text))))).toEqual([]);
  } finally {
    await engine.stop();
    await netns.delete();
  }
});

import type { NetworkSubnet } from '../api/types.ts';
import { contains, parseCidr } from '../net/cidr.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * Adds to the snapshot what sets and rules must still cover: networks that Docker still has besides those in force,
 * because their containers stay until they are removed. Blocks that an overlay has lost count as its own. An overlay
 * that is gone is isolated, because nothing says any more which networks it may talk with.
 */
export function withLeftovers(snapshot: Snapshot): Snapshot {
  const { networks, docker = [] } = snapshot;
  const kept = networks.map((network) => {
    const { metadata, spec } = network;
    const blocks = docker.find(({ name }) => name === metadata.name)?.subnets ?? [];
    const lost = blocks.filter(
      (block) => !spec.subnets.some(({ cidr }) => contains(parseCidr(cidr), parseCidr(block))),
    );
    if (lost.length === 0) return network;
    return { ...network, spec: { ...spec, subnets: [...spec.subnets, ...lost.map(subnet)] } };
  });
  const deleted = docker.flatMap(({ name, subnets }): Snapshot['networks'] =>
    subnets.length === 0 || networks.some(({ metadata }) => metadata.name === name)
      ? []
      : [
          {
            metadata: { name },
            spec: {
              enabled: true,
              containerizers: ['Docker'],
              subnets: subnets.map(subnet),
              isolation: { mode: 'Isolated' },
            },
          },
        ],
  );
  return { ...snapshot, networks: [...kept, ...deleted] };
}

const subnet = (block: string): NetworkSubnet => ({
  cidr: block,
  prefix: parseCidr(block).length,
  state: 'Draining',
});

import type { NetworkSubnet, OverlayNetworkSpec } from '../../../src/api/types.ts';
import type { Cluster } from './cluster.ts';
import type { Dice } from './dice.ts';

/** Values of the nodes' label `role`. */
export const roles = ['a', 'b', 'c'];

const active = (cidr: string, prefix: number): NetworkSubnet => ({ cidr, prefix, state: 'Active' });

/**
 * Possible subnets of each network. Many overlap, so that a network that comes back changed, or while another network's
 * blocks still rest, must wait. `small` has too few blocks for all nodes.
 */
const shapes: Record<string, NetworkSubnet[][]> = {
  red: [[active('9.1.0.0/16', 24)], [active('9.1.0.0/16', 25)], [active('9.1.0.0/18', 26)]],
  green: [
    [active('9.2.0.0/16', 24)],
    [active('9.2.0.0/16', 24), active('fd01:b::/64', 80)],
    [active('fd01:b::/64', 80)],
  ],
  blue: [
    [active('9.2.0.0/15', 23)],
    [active('9.3.0.0/16', 24)],
    [active('9.3.0.0/17', 24), active('9.3.128.0/17', 25)],
  ],
  small: [[active('9.8.0.0/23', 28)], [active('9.8.0.0/22', 28)], [active('9.8.0.0/24', 29)]],
  six: [[active('fd01:b::/60', 80)], [active('fd01:c::/64', 80)]],
};

export const networkPool = Object.keys(shapes);

function freshSpec(
  name: string,
  dice: Dice,
): Partial<OverlayNetworkSpec> & Pick<OverlayNetworkSpec, 'subnets'> {
  return {
    subnets: dice.pick(shapes[name] ?? []) ?? [],
    enabled: true,
    containerizers: dice.chance(0.8) ? ['CNI', 'Docker'] : ['CNI'],
    ...selector(dice),
  };
}

const selector = (dice: Dice): Pick<OverlayNetworkSpec, 'nodeSelector'> =>
  dice.chance(0.5)
    ? {}
    : {
        nodeSelector: {
          matchExpressions: [{ key: 'role', operator: 'In', values: dice.some(roles, dice.whole(1, 2)) }],
        },
      };

/** Changes the network once, as `kubectl` would, or creates it if it does not exist. */
export async function changeNetwork(cluster: Cluster, name: string, dice: Dice): Promise<void> {
  const spec = cluster.networks.get(name);
  if (spec === undefined) return cluster.apply(name, freshSpec(name, dice));
  switch (dice.pick(['delete', 'replace', 'select', 'enable', 'drain', 'again'] as const)) {
    case 'delete':
      return cluster.remove(name);
    case 'replace':
      await cluster.remove(name);
      return cluster.apply(name, freshSpec(name, dice));
    case 'again':
      await cluster.remove(name);
      return cluster.apply(name, spec);
    case 'select': {
      const { nodeSelector: _was, ...rest } = spec;
      return cluster.apply(name, { ...rest, ...selector(dice) });
    }
    case 'enable':
      return cluster.apply(name, { ...spec, enabled: spec.enabled === false });
    case 'drain':
    case undefined: {
      const state = dice.chance(0.5) ? 'Draining' : 'Active';
      return cluster.apply(name, { ...spec, subnets: spec.subnets.map((entry) => ({ ...entry, state })) });
    }
  }
}

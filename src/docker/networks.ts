import type { Blocks } from '../dataplane/snapshot.ts';
import type { AllocatedNetwork, NetworkSubnet } from '../api/types.ts';
import { ownAllocation, type Snapshot } from '../dataplane/snapshot.ts';
import { formatAddress, readable } from '../net/address.ts';
import { contains, formatCidr, gateway, parseCidr } from '../net/cidr.ts';
import { dockerBridge, isName } from '../net/name.ts';
import { emptyPool } from './pool.ts';

/** A network as `GET /networks` lists it, without the fields that do not matter here. */
export interface DockerNetwork extends NetworkShape {
  Id: string;
}

/** The properties of a network. Docker shows absent maps and lists as null. */
export interface NetworkShape {
  Name: string;
  Driver: string;
  /** Present from API 1.48 on; older engines give every network IPv4. */
  EnableIPv4?: boolean;
  EnableIPv6: boolean;
  IPAM: { Config: { Subnet?: string; Gateway?: string }[] | null };
  Options: Record<string, string> | null;
  Labels: Record<string, string> | null;
}

/** A network that the engine should have. */
export interface WantedNetwork {
  /** Name of the overlay and of the network. */
  name: string;
  shape: NetworkShape;
  /** Every subnet of the network drains: an existing network stays, and no new one is made. */
  draining: boolean;
}

/** Label that marks our networks. Its value is the overlay's name, which is also the network's name. */
export const networkLabel = 'dev.overlaynet.network';

/**
 * Label with the node's blocks that the network lies in: `9.0.1.0/24,fd01:b:0:0:1::/80`. They are in use while it
 * exists.
 */
export const blocksLabel = 'dev.overlaynet.blocks';

export const bridgeOption = 'com.docker.network.bridge.name';

const option = {
  masquerade: 'com.docker.network.bridge.enable_ip_masquerade',
  mtu: 'com.docker.network.driver.mtu',
  withoutIPv4: 'com.docker.network.bridge.inhibit_ipv4',
  gatewayMode: {
    4: 'com.docker.network.bridge.gateway_mode_ipv4',
    6: 'com.docker.network.bridge.gateway_mode_ipv6',
  },
} as const;

/** The options that are compared. Docker may set defaults for others. */
export const comparedOptions: readonly string[] = [
  bridgeOption,
  option.masquerade,
  option.mtu,
  option.withoutIPv4,
  ...Object.values(option.gatewayMode),
];

/**
 * API 1.48 (Docker 28.0) brought networks without IPv4, and routing from other hosts to unpublished container ports.
 */
const sinceDocker28 = 48;

/** Whether overlaynet made the network. A name that no overlay can have is never ours, whatever the label says. */
export const isOurs = ({ Name, Labels }: NetworkShape): boolean =>
  Labels?.[networkLabel] === Name && isName(Name);

/**
 * Lists, by name, the Docker network of every overlay in force that has a Docker half on this node.
 * @param minor minor version of the API in use: 41 for 1.41
 */
export function wantedNetworks(snapshot: Snapshot, minor: number): WantedNetwork[] {
  const own = ownAllocation(snapshot)?.networks ?? [];
  const taken = new Set<string>();
  return own.flatMap((allocated) => {
    const network = snapshot.networks.find(({ metadata }) => metadata.name === allocated.name);
    const wanted =
      network && wantedNetwork(network.spec.subnets, allocated, snapshot.config.mtu, minor, taken);
    return wanted === undefined ? [] : [wanted];
  });
}

/** Returns undefined if the node has no Docker half of the overlay. */
function wantedNetwork(
  subnets: readonly NetworkSubnet[],
  { name, subnets: blocks }: AllocatedNetwork,
  mtu: number,
  minor: number,
  taken: Set<string>,
): WantedNetwork | undefined {
  const isActive = (block: string) =>
    subnets.some(({ cidr, state }) => state === 'Active' && contains(parseCidr(cidr), parseCidr(block)));
  const all = blocks.flatMap(({ cidr, bridges }) =>
    bridges?.docker === undefined
      ? []
      : [{ block: cidr, half: parseCidr(bridges.docker), active: isActive(cidr) }],
  );
  const active = all.filter((part) => part.active);
  // Docker allows one subnet of each family on a bridge
  const parts = ([4, 6] as const).flatMap((family) =>
    (active.length > 0 ? active : all).filter(({ half }) => half.family === family).slice(0, 1),
  );
  if (parts.length === 0) return undefined;
  const families = parts.map(({ half }) => half.family);
  const options: Record<string, string> = {
    [bridgeOption]: dockerBridge(name),
    [option.masquerade]: 'false',
    [option.mtu]: String(mtu),
  };
  const hasIPv4 = families.includes(4);
  const pools = hasIPv4 || minor >= sinceDocker28 ? [] : [emptyPool(name, taken)];
  if (minor >= sinceDocker28) {
    for (const family of families) options[option.gatewayMode[family]] = 'nat-unprotected';
  } else if (!hasIPv4) {
    options[option.withoutIPv4] = 'true';
  }
  return {
    name,
    draining: active.length === 0,
    shape: {
      Name: name,
      Driver: 'bridge',
      ...(minor >= sinceDocker28 ? { EnableIPv4: hasIPv4 } : {}),
      EnableIPv6: families.includes(6),
      IPAM: {
        Config: [...pools, ...parts.map(({ half }) => half)].map((subnet) => ({
          Subnet: formatCidr(subnet),
          Gateway: formatAddress(gateway(subnet)),
        })),
      },
      Options: options,
      Labels: { [networkLabel]: name, [blocksLabel]: parts.map(({ block }) => block).join(',') },
    },
  };
}

/** The blocks named in the label of one of our networks. Values are checked, because anyone can write labels. */
export const blocksOf = ({ Labels }: NetworkShape): string[] =>
  (Labels?.[blocksLabel] ?? '').split(',').filter(isBlock).slice(0, 2);

const isBlock = (text: string): boolean => readable(() => formatCidr(parseCidr(text))) === text;

/**
 * Collects blocks by network name. An engine lists networks in any order, and one that is replaced appears twice
 * here.
 */
export function blocksByName(networks: readonly NetworkShape[]): Blocks {
  const all = new Map<string, Set<string>>();
  for (const network of networks.filter(isOurs)) {
    all.set(network.Name, new Set([...(all.get(network.Name) ?? []), ...blocksOf(network)]));
  }
  return [...all]
    .map(([name, subnets]) => ({ name, subnets: [...subnets] }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

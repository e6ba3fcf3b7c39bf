import type { AllocatedNetwork, NetworkSubnet } from '../api/types.ts';
import { ownAllocation, type Snapshot } from '../dataplane/snapshot.ts';
import { formatAddress, readable } from '../net/address.ts';
import { contains, formatCidr, gateway, parseCidr } from '../net/cidr.ts';
import { dockerBridge, isName } from '../net/name.ts';
import { emptyPool } from './pool.ts';

/** A network as `GET /networks` lists it; what does not matter here is left out. */
export interface DockerNetwork extends NetworkShape {
  Id: string;
}

/** What a network is made of. Docker shows absent maps and lists as null. */
export interface NetworkShape {
  Name: string;
  Driver: string;
  /** From API 1.48 on; before that every network has IPv4. */
  EnableIPv4?: boolean;
  EnableIPv6: boolean;
  IPAM: { Config: { Subnet?: string; Gateway?: string }[] | null };
  Options: Record<string, string> | null;
  Labels: Record<string, string> | null;
}

/** A network that the engine should have. */
export interface WantedNetwork {
  /** The overlay's, and the network's. */
  name: string;
  shape: NetworkShape;
  /** Every subnet of it drains: what there is stays, nothing is made. */
  draining: boolean;
}

/** Whose a network is: its value is the overlay's name, which the network bears too. */
export const networkLabel = 'dev.overlaynet.network';

/** The node's blocks that it lies in, `9.0.1.0/24,fd01:b:0:0:1::/80`: they are in use as long as it is there. */
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

/** Options that are compared: of others Docker may have defaults of its own. */
export const comparedOptions: readonly string[] = [
  bridgeOption,
  option.masquerade,
  option.mtu,
  option.withoutIPv4,
  ...Object.values(option.gatewayMode),
];

/** API 1.48 (Docker 28.0): networks without IPv4, and containers that other hosts' packets may reach unpublished. */
const sinceDocker28 = 48;

/** Names that no overlay can have are nobody of ours, whatever their label. */
export const isOurs = ({ Name, Labels }: NetworkShape): boolean =>
  Labels?.[networkLabel] === Name && isName(Name);

/**
 * The Docker network of every overlay in force of which this node has a Docker half, by name.
 * @param minor of the API in use: 41 of 1.41
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

/** Undefined where the node has no Docker half of it. */
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
  // Docker's bridges take one subnet of each family
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

/** The blocks that a network of ours says it lies in; anyone may have written the label. */
export const blocksOf = ({ Labels }: NetworkShape): string[] =>
  (Labels?.[blocksLabel] ?? '').split(',').filter(isBlock).slice(0, 2);

const isBlock = (text: string): boolean => readable(() => formatCidr(parseCidr(text))) === text;

import {
  apiVersion,
  type Containerizer,
  type OverlayConfigSpec,
  type OverlayNetwork,
  type OverlayNetworkSpec,
} from '../api/types.ts';
import { validateConfig, validateNetwork } from '../api/validate.ts';
import type { Findings } from './finding.ts';
import type { DcosConfig, DcosNetwork } from './model.ts';

/** An object for `kubectl apply`: absent fields keep their defaults or present values. */
export interface ImportedConfig {
  apiVersion: string;
  kind: 'OverlayConfig';
  metadata: { name: 'default' };
  spec: Pick<OverlayConfigSpec, 'vtepSubnets' | 'vtepMACOUI' | 'mtu' | 'defaultNetwork'>;
}

export interface ImportedNetwork {
  apiVersion: string;
  kind: 'OverlayNetwork';
  metadata: { name: string };
  spec: {
    subnets: { cidr: string; prefix: number }[];
    enabled: boolean;
    containerizers?: Containerizer[];
  };
}

export interface Objects {
  config: ImportedConfig;
  networks: ImportedNetwork[];
}

/** Returns the objects for a configuration. */
export function toObjects(config: DcosConfig, findings: Findings): Objects {
  const { vtepSubnet, vtepSubnet6, vtepMACOUI, mtu, defaultNetwork } = config;
  const vtepSubnets = [vtepSubnet, vtepSubnet6].filter((text) => text !== undefined);
  const objects: Objects = {
    config: {
      apiVersion,
      kind: 'OverlayConfig',
      metadata: { name: 'default' },
      spec: { vtepSubnets, vtepMACOUI, mtu, defaultNetwork: defaultNetwork.join() },
    },
    networks: config.networks.map((network) => toNetwork(network, config)),
  };
  for (const { line, name } of config.networks)
    if (!config.ipv6 && isIPv6Alone(config, name))
      findings.add(
        'note',
        line,
        `enable_ipv6 is false: network ${name} has IPv6 alone, and becomes enabled: false`,
      );
  judge(objects, config, findings);
  return objects;
}

const isIPv6Alone = ({ networks }: DcosConfig, name: string): boolean =>
  networks.some((one) => one.name === name && one.subnet === undefined);

function toNetwork(
  { name, subnet, prefix, subnet6, prefix6, enabled }: DcosNetwork,
  config: DcosConfig,
): ImportedNetwork {
  const subnets = [
    ...(subnet === undefined || prefix === undefined ? [] : [{ cidr: subnet, prefix }]),
    ...(subnet6 === undefined || prefix6 === undefined ? [] : [{ cidr: subnet6, prefix: prefix6 }]),
  ];
  const { mesos, docker } = config.bridges;
  const containerizers: Containerizer[] = mesos ? ['CNI'] : ['Docker'];
  return {
    apiVersion,
    kind: 'OverlayNetwork',
    metadata: { name },
    spec: {
      subnets,
      enabled: enabled && config.enable && (config.ipv6 || subnet !== undefined),
      ...(mesos === docker ? {} : { containerizers }),
    },
  };
}

/** Fills in defaults as the API server does. */
export const completed = ({ metadata, spec }: ImportedNetwork): OverlayNetwork => {
  const whole: OverlayNetworkSpec = {
    containerizers: ['CNI', 'Docker'],
    ...spec,
    subnets: spec.subnets.map((entry) => ({ ...entry, state: 'Active' })),
  };
  return { metadata, spec: whole };
};

/** Checks the objects by the rules of their kinds. */
function judge({ config, networks }: Objects, { networks: from }: DcosConfig, findings: Findings): void {
  const wrong = validateConfig({
    vni: 1024,
    port: 64_000,
    underlay: 'IPv4',
    reuseCooldown: '10m',
    ...config.spec,
  });
  if (wrong !== undefined)
    findings.refuse(undefined, wrong.message, 'correct vtep_subnet, vtep_subnet6 or vtep_mac_oui');
  for (const network of networks) {
    const refused = validateNetwork(completed(network));
    const line = from.find(({ name }) => name === network.metadata.name)?.line;
    if (refused !== undefined)
      findings.refuse(line, `network ${network.metadata.name}: ${refused.message}`, 'correct this network');
  }
}

import { familyName, familyOf, parseAddress, withoutLength } from '../net/address.ts';
import { acceptedSubnets } from './accepted.ts';
import { contains, parseCidr } from '../net/cidr.ts';
import { cniBridge, dockerBridge, tunnelName } from '../net/name.ts';
import type {
  AgentAllocation,
  AllocatedNetwork,
  EffectiveConfig,
  OverlayAgent,
  OverlayAgentStatus,
  OverlayConfig,
  OverlayNetwork,
} from './types.ts';

/** DC/OS's state document, as its master served it: keys and values are its own. */
export interface StateDocument {
  agents: AgentState[];
  network: {
    overlays: OverlayInfo[];
    vtep_mac_oui: string;
    vtep_subnet?: string;
    vtep_subnet6?: string;
  };
}

export interface AgentState {
  ip: string;
  overlays: AgentOverlay[];
}

interface OverlayInfo {
  name: string;
  prefix?: number;
  prefix6?: number;
  subnet?: string;
  subnet6?: string;
}

interface Bridge {
  ip?: string;
  ip6?: string;
  name: string;
}

interface AgentOverlay {
  backend: {
    vxlan: { vni: number; vtep_ip?: string; vtep_ip6?: string; vtep_mac: string; vtep_name: string };
  };
  docker_bridge?: Bridge;
  info: OverlayInfo;
  mesos_bridge?: Bridge;
  state: { error?: string; status: 'STATUS_OK' | 'STATUS_FAILED' | 'STATUS_CONFIGURING' };
  subnet?: string;
  subnet6?: string;
}

type Network = Pick<OverlayNetwork, 'metadata' | 'spec' | 'status'>;

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);

/** Builds a cluster's state document from its objects: the accepted part of each network, and the configuration in force. */
export function stateOf(
  { spec, status }: Pick<OverlayConfig, 'spec' | 'status'>,
  networks: readonly OverlayNetwork[],
  allocations: readonly AgentAllocation[],
  agents: (node: string) => Pick<OverlayAgent, 'status'> | undefined,
): StateDocument {
  const accepted = networks.flatMap((network) => {
    const subnets = acceptedSubnets(network);
    return subnets.length === 0 ? [] : [{ ...network, spec: { ...network.spec, subnets } }];
  });
  return renderState(status?.effective ?? { mtu: 0, ...spec }, accepted, allocations, agents);
}

/** Sorts agents by VTEP address, and overlays by name. */
export function renderState(
  config: EffectiveConfig,
  networks: readonly Network[],
  allocations: readonly AgentAllocation[],
  agents: (node: string) => Pick<OverlayAgent, 'status'> | undefined,
): StateDocument {
  const vtep = ({ spec }: AgentAllocation) => withoutLength(spec.vtep?.ip ?? spec.vtep?.ip6 ?? '');
  const value = new Map(
    allocations
      .filter(({ spec }) => spec.vtep)
      .map((allocation) => [allocation, parseAddress(vtep(allocation)).value]),
  );
  return {
    agents: [...value.entries()]
      .sort(([, a], [, b]) => (a < b ? -1 : 1))
      .map(([allocation]) =>
        renderAgent(allocation, networks, config, agents(allocation.metadata.name)?.status),
      ),
    network: {
      overlays: networks.map(info).sort(byName),
      vtep_mac_oui: config.vtepMACOUI,
      ...keyed('vtep_subnet', config.vtepSubnets),
    },
  };
}

/** Builds one agent's part: its overlays by name, each with the agent's report about it. */
export function renderAgent(
  { spec }: Pick<AgentAllocation, 'spec'>,
  networks: readonly Network[],
  config: EffectiveConfig,
  status: OverlayAgentStatus | undefined,
): AgentState {
  const named = new Map(networks.map((network) => [network.metadata.name, network]));
  const overlays = (spec.networks ?? []).flatMap((allocated) => {
    const network = named.get(allocated.name);
    return network === undefined ? [] : [renderOverlay(spec, allocated, network, config, status)];
  });
  return {
    ip: tunnelAddress(spec.addresses, config),
    overlays: overlays.sort((a, b) => byName(a.info, b.info)),
  };
}

/** Returns the node's address for the tunnel: the first one of the underlay's family. */
export function tunnelAddress(
  addresses: readonly string[],
  config: Pick<EffectiveConfig, 'underlay'>,
): string {
  return addresses.find((text) => familyName(familyOf(text)) === config.underlay) ?? addresses[0] ?? '';
}

function renderOverlay(
  spec: AgentAllocation['spec'],
  allocated: AllocatedNetwork,
  network: Network,
  config: EffectiveConfig,
  status: OverlayAgentStatus | undefined,
): AgentOverlay {
  const active = subnetsIn(network, 'Active').map(parseCidr);
  const report = status?.networks?.find(({ name }) => name === allocated.name);
  const shown = firstOfEach(
    allocated.subnets.filter(({ cidr }) => active.some((whole) => contains(whole, parseCidr(cidr)))),
  );
  const bridge = (name: string, part: 'cni' | 'docker'): Bridge | undefined => {
    const parts = shown.flatMap(({ bridges }) => bridges?.[part] ?? []);
    return parts.length === 0 ? undefined : { ...keyed('ip', parts), name };
  };
  const docker = bridge(dockerBridge(allocated.name), 'docker');
  const mesos = bridge(cniBridge(allocated.name), 'cni');
  return {
    backend: {
      vxlan: {
        vni: config.vni,
        ...(spec.vtep?.ip === undefined ? {} : { vtep_ip: spec.vtep.ip }),
        ...(spec.vtep?.ip6 === undefined ? {} : { vtep_ip6: spec.vtep.ip6 }),
        vtep_mac: spec.vtep?.mac ?? '',
        vtep_name: tunnelName(config.vni),
      },
    },
    ...(docker === undefined ? {} : { docker_bridge: docker }),
    info: info(network),
    ...(mesos === undefined ? {} : { mesos_bridge: mesos }),
    state:
      report?.state === 'Failed'
        ? { error: report.message ?? '', status: 'STATUS_FAILED' }
        : { status: report?.state === 'OK' ? 'STATUS_OK' : 'STATUS_CONFIGURING' },
    ...keyed(
      'subnet',
      shown.map(({ cidr }) => cidr),
    ),
  };
}

/** Returns a network's first active subnet of each family, or its first one if none is active. */
function info(network: Network): OverlayInfo {
  const active = subnetsIn(network, 'Active');
  const entries = network.spec.subnets.filter(({ cidr }) => active.length === 0 || active.includes(cidr));
  const first = firstOfEach(entries);
  return {
    name: network.metadata.name,
    ...Object.fromEntries(
      first.map(({ cidr, prefix }) => [familyOf(cidr) === 4 ? 'prefix' : 'prefix6', prefix]),
    ),
    ...keyed(
      'subnet',
      first.map(({ cidr }) => cidr),
    ),
  };
}

const subnetsIn = (network: Network, state: 'Active' | 'Draining'): string[] =>
  network.spec.subnets.filter((entry) => entry.state === state).map(({ cidr }) => cidr);

function firstOfEach<T extends { cidr: string }>(entries: readonly T[]): T[] {
  return [4, 6].flatMap((family) => entries.find(({ cidr }) => familyOf(cidr) === family) ?? []);
}

/** Returns `key` for IPv4 text, and `key6` for IPv6 text. */
function keyed<K extends string>(key: K, texts: readonly string[]): Partial<Record<K | `${K}6`, string>> {
  const entries = texts.map((text) => [familyOf(text) === 4 ? key : `${key}6`, text]);
  return Object.fromEntries(entries) as Partial<Record<K | `${K}6`, string>>;
}

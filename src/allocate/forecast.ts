import type { Finding } from '../api/conditions.ts';
import { selects } from '../api/selector.ts';
import type { AllocatedNetwork, NetworkSubnet, OverlayNetwork } from '../api/types.ts';
import { readable } from '../net/address.ts';
import { addressesFor, blockCount, isWithin, parseCidr } from '../net/cidr.ts';
import { configStatus } from './configstatus.ts';
import { drainOf } from './draining.ts';
import { gather, type Facts } from './facts.ts';
import { networkStatus } from './networkstatus.ts';
import { goesWhenDrained } from '../api/draining.ts';
import type { Rehearsed } from './rehearse.ts';
import { reservationForecasts, type ReservationForecast } from './reservationforecast.ts';
import { Needs } from './shortage.ts';
import { usedWarnings, type UsedRange } from './usedranges.ts';
import type { NodeFacts, View } from './view.ts';

/** The result for one entry of `spec.subnets`. */
export interface SubnetForecast {
  cidr: string;
  /** Length of a node's block. */
  prefix: number;
  state: NetworkSubnet['state'];
  /** Nodes that it has blocks for. */
  room: number;
  /** Containers of each containerizer that a node has addresses for. */
  containers: { containerizer: string; addresses: number }[];
}

/** A block that a node loses. */
export interface TakenBlock {
  node: string;
  network: string;
  cidr: string;
  /** Its addresses that containers have, by the agent's last report. */
  used: number;
}

/** An entry that begins to drain. */
export interface DrainForecast {
  cidr: string;
  /** Nodes that hold a block of it. */
  nodes: number;
  /** Addresses of it that containers have. */
  used: number;
  /** It goes out of force once no container uses it. */
  goes: boolean;
}

export interface NetworkForecast {
  name: string;
  /** Why an entry, or all of it, is not in force; undefined: everything is. */
  refusal: { reason: string; message: string } | undefined;
  subnets: SubnetForecast[];
  /** Nodes whose agents have registered and that it selects, and Nodes that it selects on which none has. */
  nodes: { registered: number; others: number };
  /** Blocks that nodes get. */
  given: number;
  /** Registered nodes that it selects and that find no block. */
  waiting: string[];
  drains: DrainForecast[];
  taken: TakenBlock[];
  warnings: string[];
}

/** A node whose tunnel's end becomes another one. */
export interface MovedTunnel {
  node: string;
  from: string;
  to: string;
}

export interface Forecast {
  config: { refusal: { reason: string; message: string } | undefined; warnings: string[] };
  /** Those that the manifest names. */
  networks: NetworkForecast[];
  /** Those that the manifest names. */
  reservations: ReservationForecast[];
  /** Blocks of other networks that nodes lose. */
  taken: TakenBlock[];
  moved: MovedTunnel[];
  /** What changes for nodes and networks that the manifest does not name, in words. */
  others: string[];
}

interface Pods {
  pods: (node: NodeFacts) => number | undefined;
}

/**
 * What a manifest changes: compares the cluster at rest without it and with it.
 * @param names networks that the manifest names
 * @param reserving reservations that the manifest names
 */
export function forecast(
  before: Rehearsed,
  after: Rehearsed,
  {
    names,
    reserving = [],
    used,
    pods,
  }: Pods & { names: readonly string[]; reserving?: readonly string[]; used: readonly UsedRange[] },
): Forecast {
  const [was, is] = [before, after].map(({ view, plan }) => gather(view, plan, { pods })) as [Facts, Facts];
  const taken = takenBlocks(before.view, after.view);
  const named = new Set(names);
  const networks = after.view.networks.filter(({ metadata }) => named.has(metadata.name));
  return {
    config: {
      refusal: after.plan.refusedConfig,
      warnings: [
        ...newlyTrue(configStatus(was).conditions, configStatus(is).conditions),
        ...usedWarnings('spec.vtepSubnets', after.view.config?.spec.vtepSubnets ?? [], used),
        ...unknownDefaults(after.view),
      ],
    },
    networks: networks.map((network) => {
      const old = before.view.networks.find(({ metadata }) => metadata.name === network.metadata.name);
      return networkForecast({ network, old, was, is, used }, taken);
    }),
    reservations: reservationForecasts(reserving, is),
    taken: taken.filter(({ network }) => !named.has(network)),
    moved: movedTunnels(before.view, after.view),
    others: others(before, after, named),
  };
}

interface About {
  network: OverlayNetwork;
  /** The same before. */
  old: OverlayNetwork | undefined;
  was: Facts;
  is: Facts;
  used: readonly UsedRange[];
}

function networkForecast(
  { network, old, was, is, used }: About,
  taken: readonly TakenBlock[],
): NetworkForecast {
  const { name } = network.metadata;
  const status = networkStatus(network, is);
  const refusal = is.plan.refusedNetworks.get(name);
  const accepted = new Set(status.capacity?.map(({ cidr }) => cidr));
  const shown = (view: View) =>
    [...view.allocations.values()].flatMap(({ spec }) => blocksOf(spec.networks, name));
  const had = new Set(shown(was.view));
  const selected = [...is.view.nodes.values()].filter((node) =>
    selects(network.spec.nodeSelector, node.labels),
  );
  const registered = selected.filter((node) => is.plan.registrations.accepted.has(node.name));
  return {
    name,
    refusal,
    subnets: network.spec.subnets.flatMap((entry) => subnetForecast(network, entry)),
    nodes: { registered: registered.length, others: selected.length - registered.length },
    given: shown(is.view).filter((cidr) => !had.has(cidr)).length,
    waiting: new Needs(network, is).shortages.flatMap(({ nodes }) => nodes),
    drains: network.spec.subnets
      .filter((entry) => accepted.has(entry.cidr) && beginsToDrain(entry, old))
      .map((entry) => drainForecast(network, entry, was.view)),
    taken: taken.filter((one) => one.network === name),
    warnings: [
      ...newlyTrue(
        old === undefined ? [] : networkStatus(old, was).conditions,
        status.conditions?.filter(({ type }) => warning.has(type)),
      ),
      ...usedWarnings(
        'spec.subnets',
        network.spec.subnets.map(({ cidr }) => cidr),
        used,
      ),
      ...(network.metadata.deletionTimestamp === undefined
        ? []
        : ['this network is being deleted: the applied changes are lost with it']),
    ],
  };
}

/** Conditions of a network that warn. Refused, waiting and draining subnets are reported separately. */
const warning: ReadonlySet<string> = new Set(['Exhausting', 'TightBlocks']);

const subnetForecast = (
  { spec }: OverlayNetwork,
  { cidr, prefix, state }: NetworkSubnet,
): SubnetForecast[] => {
  const parsed = readable(() => parseCidr(cidr));
  if (parsed === undefined) return [];
  const half = spec.containerizers.length > 1 ? 1 : 0;
  const addresses = addressesFor(parsed.family, prefix + half);
  const room = blockCount(parsed, prefix);
  const containers = spec.containerizers.map((containerizer) => ({ containerizer, addresses }));
  return [{ cidr, prefix, state, room, containers }];
};

/** It drains now and did not before, or goes once it has drained and would have stayed. */
function beginsToDrain(entry: NetworkSubnet, old: OverlayNetwork | undefined): boolean {
  const before = old?.spec.subnets.find(({ cidr }) => cidr === entry.cidr);
  if (before === undefined || entry.state !== 'Draining') return false;
  return before.state !== 'Draining' || (goesWhenDrained(entry) && !goesWhenDrained(before));
}

function drainForecast(network: OverlayNetwork, entry: NetworkSubnet, view: View): DrainForecast {
  const { cidr } = entry;
  const { name } = network.metadata;
  const used = [...view.agents.keys()].map((node) => usedIn(view, node, name, cidr));
  return {
    cidr,
    nodes: drainOf(network, cidr, view).nodes,
    used: used.reduce((all, one) => all + one, 0),
    goes: goesWhenDrained(entry),
  };
}

const blocksOf = (networks: readonly AllocatedNetwork[] | undefined, name: string): string[] =>
  (networks ?? [])
    .filter((one) => one.name === name)
    .flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr));

/** Addresses in a range of a network that a node's containers have, by its agent's last report. */
function usedIn({ agents }: View, node: string, network: string, cidr: string): number {
  const range = readable(() => parseCidr(cidr));
  const usage = agents.get(node)?.status?.networks?.find(({ name }) => name === network)?.usage ?? [];
  if (range === undefined) return 0;
  return usage.reduce((all, part) => all + (isWithin(range, part.cidr) ? part.used : 0), 0);
}

function takenBlocks(before: View, after: View): TakenBlock[] {
  const taken: TakenBlock[] = [];
  for (const [node, { spec }] of before.allocations) {
    const remaining = after.allocations.get(node)?.spec.networks;
    for (const { name, subnets } of spec.networks ?? []) {
      const kept = new Set(blocksOf(remaining, name));
      for (const { cidr } of subnets)
        if (!kept.has(cidr))
          taken.push({ node, network: name, cidr, used: usedIn(before, node, name, cidr) });
    }
  }
  return taken;
}

function movedTunnels(before: View, after: View): MovedTunnel[] {
  return [...before.allocations].flatMap(([node, { spec }]) => {
    const now = after.allocations.get(node)?.spec.vtep;
    const text = (vtep: typeof now) => [vtep?.ip, vtep?.ip6].filter((one) => one !== undefined).join(', ');
    const [from, to] = [text(spec.vtep), text(now)];
    return spec.vtep === undefined || (from === to && spec.vtep.mac === now?.mac) ? [] : [{ node, from, to }];
  });
}

/** Messages of conditions that are True and were not. `Accepted` and `Ready` are the other way round. */
function newlyTrue(before: readonly Finding[] | undefined, after: readonly Finding[] | undefined): string[] {
  const known = new Set(before?.flatMap(({ type, status }) => (status === 'True' ? [type] : [])));
  return (after ?? []).flatMap(({ type, status, message }) =>
    status === 'True' && !known.has(type) && !good.has(type) ? [`${type}: ${message}`] : [],
  );
}

const good: ReadonlySet<string> = new Set(['Accepted', 'Ready', 'Reconciling']);

/** Names in `spec.defaultNetwork` that no network has: a pod that names none would get no address of them. */
function unknownDefaults({ config, networks }: View): string[] {
  const known = new Set(networks.map(({ metadata }) => metadata.name));
  const names = (config?.spec.defaultNetwork ?? '').split(',').filter((name) => name !== '');
  return names
    .filter((name) => !known.has(name))
    .map((name) => `spec.defaultNetwork: there is no network ${name}`);
}

function others(before: Rehearsed, after: Rehearsed, named: ReadonlySet<string>): string[] {
  const words: string[] = [];
  for (const [name, { message }] of after.plan.refusedNetworks)
    if (!named.has(name) && !before.plan.refusedNetworks.has(name))
      words.push(`network ${name} would be refused: ${message}`);
  for (const [name] of before.plan.refusedNetworks)
    if (!named.has(name) && !after.plan.refusedNetworks.has(name))
      words.push(`network ${name}, which is refused now, would be accepted`);
  for (const [node, { message }] of after.plan.registrations.refused)
    if (!before.plan.registrations.refused.has(node))
      words.push(`the registration of node ${node} would be refused: ${message}`);
  return words;
}

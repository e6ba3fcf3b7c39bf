import type {
  AgentAllocation,
  AllocationLedger,
  KubeObject,
  OverlayAgent,
  OverlayConfig,
  OverlayNetwork,
} from '../../../src/api/types.ts';
import { acceptedSubnets } from '../../../src/api/accepted.ts';
import { selects } from '../../../src/api/selector.ts';
import { spacesName } from '../../../src/allocate/view.ts';
import type { Client } from '../../../src/kube/client.ts';
import {
  agentAllocations,
  allocationLedgers,
  nodes,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  type Resource,
} from '../../../src/kube/resources.ts';
import { entriesOf, overlap, rangeOf, shownBlocks } from './blocks.ts';

/** All objects in the API server at a moment of rest, by name. */
interface Still {
  config: OverlayConfig | undefined;
  nodes: Map<string, KubeObject>;
  networks: Map<string, OverlayNetwork>;
  agents: Map<string, OverlayAgent>;
  allocations: Map<string, AgentAllocation>;
  ledger: Map<string, AllocationLedger>;
}

export async function look(client: Client): Promise<Still> {
  const all = async <T extends KubeObject>(resource: Resource<T>) =>
    new Map((await client.list(resource)).items.map((item) => [item.metadata.name, item]));
  const [nodeMap, networks, agents, allocations, ledger, config] = await Promise.all([
    all<KubeObject>(nodes),
    all(overlayNetworks),
    all(overlayAgents),
    all(agentAllocations),
    all(allocationLedgers),
    client.get(overlayConfigs, 'default'),
  ]);
  return { config, nodes: nodeMap, networks, agents, allocations, ledger };
}

const condition = ({ status }: OverlayNetwork | OverlayConfig, type: string) =>
  status?.conditions?.find((one) => one.type === type);

const isAccepted = (network: OverlayNetwork): boolean => condition(network, 'Accepted')?.status === 'True';

/** Returns everything that is not yet as it must be in an idle cluster; empty once it has converged. */
export function unrest(still: Still): string[] {
  return [
    ...strangers(still),
    ...ledgerUnrest(still),
    ...[...still.networks.values()].flatMap((network) => [...networkUnrest(network, still)]),
    ...configUnrest(still),
  ];
}

function* strangers({ nodes: there, agents, allocations }: Still): Generator<string> {
  for (const name of allocations.keys())
    if (!there.has(name)) yield `agentallocations/${name} is of a Node that is gone`;
  for (const name of agents.keys())
    if (!there.has(name)) yield `overlayagents/${name} is of a Node that is gone`;
  for (const name of there.keys()) {
    if (!agents.has(name)) yield `${name} is not registered`;
    if (allocations.get(name)?.spec.vtep === undefined) yield `${name} has no VTEP`;
  }
}

/** The ledger and the AgentAllocations must agree, and no block may rest any more. */
function* ledgerUnrest({ ledger, allocations }: Still): Generator<string> {
  const heldBlocks = new Map<string, Set<string>>();
  for (const [name, { spec }] of ledger) {
    if (spec.page === undefined) continue;
    for (const [block, { node, state }] of entriesOf(name, spec.page, ledger.get(spacesName)?.spec.index)) {
      if (state !== 'Held') yield `${name}: ${block} of ${node} is ${state}`;
      else heldBlocks.set(node, (heldBlocks.get(node) ?? new Set()).add(block));
    }
  }
  for (const [node, { spec }] of allocations) {
    const [shown, theirs] = [new Set(shownBlocks(spec)), heldBlocks.get(node) ?? new Set<string>()];
    for (const block of shown)
      if (!theirs.has(block)) yield `${node} is shown ${block}, which it does not hold`;
    for (const block of theirs) if (!shown.has(block)) yield `${node} holds ${block}, which it is not shown`;
    heldBlocks.delete(node);
  }
  for (const node of heldBlocks.keys()) yield `${node} holds blocks and has no AgentAllocation`;
}

function* networkUnrest(network: OverlayNetwork, still: Still): Generator<string> {
  const { name, generation = 0 } = network.metadata;
  const [accepted, ready] = [condition(network, 'Accepted'), condition(network, 'Ready')];
  for (const one of [accepted, ready]) {
    if (one?.observedGeneration !== generation) yield `${name}: a condition is of another generation`;
  }
  const rival = [...still.networks.values()].find(
    (other) => other !== network && touches(network.spec.subnets, subnetsInForce(other)),
  );
  if (rival !== undefined && isAccepted(network))
    yield `${name} and ${rival.metadata.name} overlap, and both are accepted`;
  if (rival !== undefined && accepted?.reason !== 'Overlap')
    yield `${name}: Accepted says ${accepted?.reason ?? 'nothing'}, not Overlap`;
  if (rival === undefined && !isAccepted(network))
    yield `${name} is not accepted: ${accepted?.message ?? 'no condition'}`;
  yield* holders(network, still);
}

type Subnets = OverlayNetwork['spec']['subnets'];

const touches = (a: Subnets, b: Subnets): boolean =>
  a.some((one) => b.some((other) => overlaps(one.cidr, other.cidr)));

function overlaps(a: string, b: string): boolean {
  const [first, second] = [rangeOf(a), rangeOf(b)];
  return first !== undefined && second !== undefined && overlap(first, second);
}

/** Returns the subnets in force: for a refused network, those that were accepted before. */
function subnetsInForce(network: OverlayNetwork): Subnets {
  return isAccepted(network) ? network.spec.subnets : acceptedSubnets(network);
}

/** Every selected node must have one block of each active subnet while there are blocks. Other nodes must have none. */
function* holders(network: OverlayNetwork, still: Still): Generator<string> {
  const { name } = network.metadata;
  const inForce = subnetsInForce(network);
  const active = inForce.filter(({ state }) => state === 'Active');
  const on = network.spec.enabled && inForce.length > 0;
  const wanted = [...still.nodes.values()].filter(
    ({ metadata }) => on && selects(network.spec.nodeSelector, metadata.labels),
  );
  const names = new Set(wanted.map(({ metadata }) => metadata.name));
  let short = false;
  for (const [node, { spec }] of still.allocations) {
    const blocks = spec.networks?.find((one) => one.name === name)?.subnets ?? [];
    if (!names.has(node) && blocks.length > 0)
      yield `${node} has blocks of ${name}, which does not select it`;
    const bare = still.nodes.get(node)?.metadata.labels?.['overlaynet.dev/bridges'] === 'false';
    if (blocks.some(({ bridges }) => (bridges === undefined) !== bare))
      yield `${node}: bridges of ${name} are not as its label says`;
  }
  for (const { cidr, prefix } of active) {
    const has = [...names].filter((node) =>
      still.allocations
        .get(node)
        ?.spec.networks?.find((one) => one.name === name)
        ?.subnets.some((subnet) => overlaps(subnet.cidr, cidr)),
    );
    const room = 2 ** Math.min(30, prefix - Number(cidr.replace(/.*\//, '')));
    if (has.length < Math.min(room, names.size))
      yield `${name}: ${has.length} of ${names.size} nodes have a block of ${cidr}`;
    short ||= has.length < names.size;
  }
  // all subnets drain: Ready then depends on nodes that never had a block, which is not checked here
  if (on && active.length === 0) return;
  const ready = condition(network, 'Ready');
  const reason =
    inForce.length === 0
      ? 'NotAccepted'
      : !network.spec.enabled
        ? 'Disabled'
        : short
          ? 'Exhausted'
          : names.size === 0
            ? 'NoAgents'
            : 'AllAgentsReady';
  if (ready?.reason !== reason)
    yield `${name}: Ready says ${ready?.reason ?? 'nothing'} (${ready?.message ?? ''}), not ${reason}`;
}

function* configUnrest({ config, nodes: there }: Still): Generator<string> {
  if (config === undefined) {
    yield 'overlayconfigs/default does not exist';
    return;
  }
  if (there.size === 0) return;
  for (const one of config.status?.conditions ?? []) {
    const isWell = one.type === 'Accepted' || one.type === 'Ready' ? 'True' : 'False';
    if (one.status !== isWell) yield `OverlayConfig: ${one.type} is ${one.status}: ${one.message}`;
  }
  if (config.status?.effective === undefined) yield 'OverlayConfig: nothing is in effect';
}

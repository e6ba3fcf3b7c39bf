import { type Address, formatAddress, isAddress, parseAddress, withoutLength } from '../net/address.ts';
import { addressAt, containsAddress, parseCidr, type Cidr } from '../net/cidr.ts';
import type { AgentRow, BlockRow, ContainerRow, SpaceRow, Unanswered } from '../rows/row.ts';
import type { Access } from './access.ts';
import { containerName } from './columns.ts';
import { CommandFailure } from './failure.ts';
import { skew, warn } from './list.ts';
import type { Output } from './output.ts';
import { harmless, harmlessJSON } from './text.ts';
import { yamlPrinter } from './yaml.ts';

/** The owner of an address. */
export interface Owner {
  address: string;
  /**
   * `Free`: in a node's block, and not in use. `Unused`: in a network, but in no node's block. `Outside`: in no network.
   * `Unknown`: the node that has the block did not list its containers.
   */
  is:
    | 'Container'
    | 'Gateway'
    | 'VTEP'
    | 'Node'
    | 'Free'
    | 'Releasing'
    | 'Cooling'
    | 'Quarantined'
    | 'Reserved'
    | 'Unused'
    | 'Outside'
    | 'Unknown';
  message: string;
  network?: string;
  node?: string;
  block?: string;
  container?: string;
}

/** The known facts about one address. */
export interface Known {
  agents: readonly AgentRow[];
  blocks: readonly BlockRow[];
  spaces: readonly SpaceRow[];
  /** Undefined if the user has no right to see containers. */
  containers: readonly ContainerRow[] | undefined;
  unanswered: readonly Unanswered[];
}

/**
 * `ip ADDRESS`.
 * @returns the exit status: 1 if the address has no owner, 2 if that is unknown
 */
export async function lookUp(
  access: Access,
  text: string,
  options: { output?: 'json' | 'yaml' },
  out: Output,
): Promise<number> {
  if (!isAddress(text))
    throw new CommandFailure(
      `"${text}" is not an IP address`,
      'give one address, such as 9.0.1.7 or fd01:b::7, without a length',
    );
  const address = parseAddress(text);
  const search = formatAddress(address);
  const [agents, blocks, spaces] = [
    await access.all('agents', { search }),
    await access.all('blocks', { search }),
    await access.all('spaces', { search }),
  ];
  let containers: Known['containers'];
  let unanswered: Unanswered[] = [];
  if (blocks.items.some(({ space }) => space !== 'vtep')) {
    try {
      const page = await access.all('containers', { search });
      containers = page.items;
      unanswered = page.unanswered ?? [];
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
      out.warn(`containers are not shown: ${error.message}; ${error.next}`);
    }
  }
  const owner = ownerOf(address, {
    agents: agents.items,
    blocks: blocks.items,
    spaces: spaces.items,
    containers,
    unanswered,
  });
  if (options.output === 'json') out.line(harmlessJSON(owner));
  else if (options.output === 'yaml') out.line((await yamlPrinter())(owner));
  else out.line(harmless(`${owner.address}  ${owner.message}`));
  if (owner.is === 'Unknown') warn({ unanswered: unanswered.filter(({ node }) => node === owner.node) }, out);
  skew(access, out);
  return owner.is === 'Unknown' ? 2 : owner.is === 'Outside' ? 1 : 0;
}

/** The nearest answer: a container, the bridge's own address, the tunnel's end, the node, the block, the subnet. */
export function ownerOf(address: Address, known: Known): Owner {
  const text = formatAddress(address);
  const is = (other: string | undefined) => other !== undefined && withoutLength(other) === text;
  const container = known.containers?.find(({ addresses }) => addresses.some(is));
  if (container !== undefined) return ofContainer(text, container);
  const node = known.agents.find(({ addresses }) => addresses.some(is));
  if (node !== undefined)
    return { address: text, is: 'Node', node: node.node, message: `node ${node.node}’s own address` };
  const end = known.agents.find(({ vtep }) => is(vtep?.ip) || is(vtep?.ip6));
  if (end !== undefined)
    return {
      address: text,
      is: 'VTEP',
      node: end.node,
      message: `the tunnel’s end (VTEP) of node ${end.node}`,
    };
  const block = known.blocks.find(
    ({ space, cidr }) => space !== 'vtep' && containsAddress(parseCidr(cidr), address),
  );
  if (block !== undefined) return inBlock(text, address, block, known);
  const space = known.spaces.find(({ cidr }) => cidr !== 'vtep' && containsAddress(parseCidr(cidr), address));
  if (space !== undefined) {
    const { network, cidr } = space;
    const message = `unused: in network ${network} (${cidr}), and in no node’s block`;
    return { address: text, is: 'Unused', network, message };
  }
  const message = 'outside: no network has it; each node’s own routes lead there (ip route get on the node)';
  return { address: text, is: 'Outside', message };
}

function ofContainer(address: string, row: ContainerRow): Owner {
  const { network, node, runtime, kernel } = row;
  const container = containerName(row);
  const what = row.pod === undefined ? `container ${container}` : `pod ${container}`;
  const odd = kernel === 'Missing' ? '; its link is missing in the kernel' : '';
  return {
    address,
    is: 'Container',
    network,
    node,
    container,
    message: `${what} (${runtime}) on network ${network}, node ${node}${odd}`,
  };
}

function inBlock(text: string, address: Address, block: BlockRow, known: Known): Owner {
  const { network, node, cidr, state, bridges, freeAt } = block;
  const of = { address: text, network, node, block: cidr };
  const where = `block ${cidr} of network ${network}`;
  if (state === 'Cooling')
    return {
      ...of,
      is: state,
      message: `rests: ${where}, last node ${node}’s, is free at ${freeAt ?? 'an unknown time'} at the earliest`,
    };
  if (state === 'Releasing')
    return { ...of, is: state, message: `${where} is being taken back from node ${node}` };
  if (state === 'Reserved') {
    const whose = node === '' ? 'a node that is not known yet' : `node ${node}`;
    return {
      ...of,
      is: state,
      message: `${where} is reserved for ${whose}: kubectl get overlayreservations`,
    };
  }
  if (state === 'Quarantined')
    return {
      ...of,
      is: state,
      message: `${where} is held by two nodes, ${node} and another: see findings in status`,
    };
  for (const [kind, half] of [
    ['m', bridges?.cni],
    ['d', bridges?.docker],
  ] as const) {
    const part = half === undefined ? undefined : parseCidr(half);
    if (part === undefined || !containsAddress(part, address)) continue;
    const place = placeIn(part, address);
    if (place === 'gateway')
      return { ...of, is: 'Gateway', message: `the gateway: bridge ${kind}-${network} of node ${node}` };
    if (place !== undefined)
      return { ...of, is: 'Free', message: `never given out: the ${place} of ${half}, node ${node}` };
  }
  const silent = known.containers === undefined || known.unanswered.some((one) => one.node === node);
  if (silent)
    return {
      ...of,
      is: 'Unknown',
      message: `in ${where} of node ${node}; whether a container has it is not known`,
    };
  return { ...of, is: 'Free', message: `free: in ${where}, which node ${node} holds` };
}

function placeIn(part: Cidr, address: Address): string | undefined {
  if (address.value === addressAt(part, 1).value) return 'gateway';
  if (address.value === part.base) return 'network address';
  const size = 1n << BigInt((part.family === 4 ? 32 : 128) - part.length);
  return part.family === 4 && address.value === part.base + size - 1n ? 'broadcast address' : undefined;
}

import type {
  AgentAllocationSpec,
  AllocatedNetwork,
  AllocatedSubnet,
  Containerizer,
  LedgerIndex,
  OverlayNetwork,
  Vtep,
} from '../api/types.ts';
import { block, formatCidr, halves, parseCidr } from '../net/cidr.ts';
import { vtepAt } from '../net/vtep.ts';
import { inPage, listedPages, vtepSpace } from './space.ts';
import { version, type Ledger, type NodeFacts } from './view.ts';

/** A node labelled so with `false` gets subnets and no bridges. */
export const bridgesLabel = 'overlaynet.dev/bridges';

/** What the ledger says a node holds, and how fresh that is. */
export interface Holding {
  /** By space: index of the block that is Held. */
  blocks: { cidr: string; prefix: number; network: string; index: number }[];
  /** The ledger was read, or the pages concerned were written, no earlier than this resourceVersion. */
  asOf: number;
}

/** Every node's blocks, from the ledger alone. */
export function holdings(ledger: Ledger, index: LedgerIndex): Map<string, Holding> {
  const all = new Map<string, Holding>();
  for (const space of index.spaces) {
    if (space.retiredAt !== undefined) continue;
    for (const { object, page, understood } of listedPages(ledger, space)) {
      if (!understood) continue;
      const asOf = Math.max(ledger.readAt, version(object));
      for (const entry of page.blocks) {
        if (entry.state !== 'Held' || !inPage(page, entry)) continue;
        const holding = all.get(entry.node) ?? { blocks: [], asOf: Infinity };
        holding.asOf = Math.min(holding.asOf, asOf);
        if (!holding.blocks.some(({ cidr }) => cidr === space.cidr)) {
          holding.blocks.push({
            cidr: space.cidr,
            prefix: space.prefix,
            network: space.network,
            index: entry.index,
          });
        }
        all.set(entry.node, holding);
      }
    }
  }
  return all;
}

/** Renders allocation specs; block text is kept, since 5,000 nodes are rendered whenever one changes. */
export class Renderer {
  private readonly texts = new Map<string, AllocatedSubnet>();
  private readonly vteps = new Map<string, Vtep>();

  /** `revision` is the caller's: all else follows from the ledger, the networks, the configuration and the Node. */
  render(
    node: NodeFacts,
    addresses: readonly string[],
    holding: Holding | undefined,
    index: LedgerIndex,
    networks: ReadonlyMap<string, OverlayNetwork>,
  ): Omit<AgentAllocationSpec, 'revision'> {
    const bare = node.labels[bridgesLabel] === 'false';
    const byNetwork = new Map<string, AllocatedNetwork>();
    let vtep: Vtep | undefined;
    for (const { cidr, prefix, network, index: at } of holding?.blocks ?? []) {
      if (cidr === vtepSpace) {
        vtep = this.vtep(index, at);
        continue;
      }
      const containerizers = networks.get(network)?.spec.containerizers ?? [];
      const entry = byNetwork.get(network) ?? { name: network, subnets: [] };
      entry.subnets.push(this.subnet(cidr, prefix, at, bare ? [] : containerizers));
      byNetwork.set(network, entry);
    }
    // without an endpoint nobody can reach them
    const allocated =
      vtep === undefined ? [] : [...byNetwork.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return {
      nodeUID: node.uid,
      addresses: [...addresses],
      ...(vtep === undefined ? {} : { vtep }),
      ...(allocated.length === 0 ? {} : { networks: allocated }),
    };
  }

  private vtep({ config }: LedgerIndex, at: number): Vtep | undefined {
    if (config === undefined) return undefined;
    const key = `${config.vtepSubnets.join()} ${config.vtepMACOUI} ${at}`;
    const known = this.vteps.get(key);
    if (known !== undefined) return known;
    const vtep = vtepAt(config.vtepSubnets, config.vtepMACOUI, at);
    this.vteps.set(key, vtep);
    return vtep;
  }

  private subnet(
    cidr: string,
    prefix: number,
    at: number,
    containerizers: readonly Containerizer[],
  ): AllocatedSubnet {
    const key = `${cidr} ${prefix} ${at} ${containerizers.join()}`;
    const known = this.texts.get(key);
    if (known !== undefined) return known;
    const own = block(parseCidr(cidr), prefix, at);
    const [first, second] = containerizers.length === 2 ? halves(own) : [own, own];
    const bridges = {
      ...(containerizers.includes('CNI') ? { cni: formatCidr(first) } : {}),
      ...(containerizers.includes('Docker') ? { docker: formatCidr(second) } : {}),
    };
    const subnet = { cidr: formatCidr(own), ...(containerizers.length === 0 ? {} : { bridges }) };
    this.texts.set(key, subnet);
    return subnet;
  }
}

/** Whether something that the object shows is not in the new spec. */
export function removes(shown: AgentAllocationSpec, next: Omit<AgentAllocationSpec, 'revision'>): boolean {
  const texts = ({ vtep, networks = [] }: Omit<AgentAllocationSpec, 'revision'>) => [
    ...(vtep === undefined ? [] : [vtep.mac]),
    ...networks.flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr)),
  ];
  const stay = new Set(texts(next));
  return texts(shown).some((text) => !stay.has(text));
}

/** Same but for `revision`. Key order does not matter: the API server keeps none. */
export function sameSpec(a: AgentAllocationSpec, b: Omit<AgentAllocationSpec, 'revision'>): boolean {
  return (
    a.nodeUID === b.nodeUID &&
    a.addresses.join() === b.addresses.join() &&
    a.vtep?.ip === b.vtep?.ip &&
    a.vtep?.ip6 === b.vtep?.ip6 &&
    a.vtep?.mac === b.vtep?.mac &&
    networksText(a.networks) === networksText(b.networks)
  );
}

const networksText = (networks: readonly AllocatedNetwork[] = []): string =>
  networks
    .map(({ name, subnets }) =>
      [
        name,
        ...subnets.map(({ cidr, bridges }) => `${cidr},${bridges?.cni ?? ''},${bridges?.docker ?? ''}`),
      ].join(' '),
    )
    .join(';');

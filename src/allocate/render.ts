import type {
  AgentAllocationSpec,
  AllocatedNetwork,
  AllocatedSubnet,
  Containerizer,
  LedgerIndex,
  LedgerSpace,
  OverlayNetwork,
  PinnedConfig,
  Vtep,
} from '../api/types.ts';
import { block, formatCidr, halves, parseCidr } from '../net/cidr.ts';
import { vtepAt } from '../net/vtep.ts';
import { inPage, listedPages, vtepSpace, type ListedPage } from './space.ts';
import type { Ledger, NodeFacts } from './view.ts';

/** A node labelled so with `false` gets subnets and no bridges. */
export const bridgesLabel = 'overlaynet.dev/bridges';

/** A node's block of one space, from the ledger. */
export interface HeldBlock {
  space: LedgerSpace;
  index: number;
  /** Name of the page that says so. */
  page: string;
}

type InSpace = ReadonlyMap<string, { index: number; page: string }>;

/** Every node's blocks, from the ledger alone. What no page changed is not read again. */
export class Holdings {
  /** Grows whenever anybody's blocks may be others than before. */
  generation = 0;
  #spaces: { space: LedgerSpace; pages: readonly unknown[]; nodes: InSpace }[] = [];

  /** Takes a ledger in; cheap where its objects are those of the last time. */
  read(ledger: Ledger, index: LedgerIndex): this {
    const before = new Map(this.#spaces.map((known) => [known.space.cidr, known]));
    const count = this.#spaces.length;
    let changed = false;
    this.#spaces = index.spaces
      .filter(({ retiredAt }) => retiredAt === undefined)
      .map((space) => {
        const good = listedPages(ledger, space).filter(({ state }) => state === 'good');
        const pages = good.map(({ page }) => page);
        const known = before.get(space.cidr);
        const same =
          known?.space.network === space.network &&
          known.pages.length === pages.length &&
          known.pages.every((page, at) => page === pages[at]);
        changed ||= !same;
        return { space, pages, nodes: same ? known.nodes : inSpace(good) };
      });
    if (changed || this.#spaces.length !== count) this.generation++;
    return this;
  }

  /** In the order of the index's spaces. */
  of(node: string): HeldBlock[] {
    const blocks: HeldBlock[] = [];
    for (const { space, nodes } of this.#spaces) {
      const held = nodes.get(node);
      if (held !== undefined) blocks.push({ space, ...held });
    }
    return blocks;
  }

  /** What stays the same as long as the node's blocks do. */
  key(node: string): string {
    let key = '';
    for (const { nodes } of this.#spaces) key += `${nodes.get(node)?.index ?? ''},`;
    return key;
  }

  has(node: string): boolean {
    return this.#spaces.some(({ nodes }) => nodes.has(node));
  }

  holdsIn(node: string, cidr: string): boolean {
    return this.#spaces.some(({ space, nodes }) => space.cidr === cidr && nodes.has(node));
  }
}

/** A quarantined block stays with the node that the ledger names: its containers are not cut. */
function inSpace(pages: readonly ListedPage[]): InSpace {
  const nodes = new Map<string, { index: number; page: string }>();
  for (const { name, page } of pages) {
    for (const entry of page.blocks) {
      const holds = entry.state === 'Held' || entry.state === 'Quarantined';
      if (holds && inPage(page, entry) && !nodes.has(entry.node))
        nodes.set(entry.node, { index: entry.index, page: name });
    }
  }
  return nodes;
}

/** Renders allocation specs. */
export class Renderer {
  /** By space and containerizers: 5,000 nodes are rendered whenever a network changes, and text costs. */
  #texts = new Map<string, Map<number, AllocatedSubnet>>();
  #used = new Set<string>();

  /** Forgets the texts of spaces that nothing was rendered of since the last call. */
  forgetUnused(): void {
    for (const key of this.#texts.keys()) if (!this.#used.has(key)) this.#texts.delete(key);
    this.#used = new Set();
  }

  /** `revision` is the caller's: all else follows from the ledger, the networks, the configuration and the Node. */
  render(
    node: NodeFacts,
    addresses: readonly string[],
    blocks: readonly HeldBlock[],
    config: PinnedConfig | undefined,
    networks: ReadonlyMap<string, OverlayNetwork>,
  ): Omit<AgentAllocationSpec, 'revision'> {
    const bare = node.labels[bridgesLabel] === 'false';
    const byNetwork = new Map<string, AllocatedNetwork>();
    let vtep: Vtep | undefined;
    for (const { space, index } of blocks) {
      const { cidr, network } = space;
      if (cidr === vtepSpace) {
        vtep = config && vtepAt(config.vtepSubnets, config.vtepMACOUI, index);
        continue;
      }
      const containerizers = networks.get(network)?.spec.containerizers ?? [];
      const entry = byNetwork.get(network) ?? { name: network, subnets: [] };
      entry.subnets.push(this.#subnet(space, index, bare ? [] : containerizers));
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

  #subnet(
    { cidr, prefix }: LedgerSpace,
    at: number,
    containerizers: readonly Containerizer[],
  ): AllocatedSubnet {
    const key = `${cidr} ${prefix} ${containerizers.join()}`;
    this.#used.add(key);
    const texts = this.#texts.get(key) ?? new Map<number, AllocatedSubnet>();
    this.#texts.set(key, texts);
    const known = texts.get(at);
    if (known !== undefined) return known;
    const own = block(parseCidr(cidr), prefix, at);
    const [first, second] = containerizers.length === 2 ? halves(own) : [own, own];
    const bridges = {
      ...(containerizers.includes('CNI') ? { cni: formatCidr(first) } : {}),
      ...(containerizers.includes('Docker') ? { docker: formatCidr(second) } : {}),
    };
    const subnet = { cidr: formatCidr(own), ...(containerizers.length === 0 ? {} : { bridges }) };
    texts.set(at, subnet);
    return subnet;
  }
}

/** What an object shows and its next spec does not: the node loses it. */
export interface Dropped {
  vtep: boolean;
  subnets: { network: string; cidr: string }[];
  /** Networks that lose a bridge of a block that stays. */
  bridges: string[];
}

export function dropped(shown: AgentAllocationSpec, next: Omit<AgentAllocationSpec, 'revision'>): Dropped {
  const stays = new Map(
    (next.networks ?? []).flatMap(({ name, subnets }) => subnets.map((one) => [`${name} ${one.cidr}`, one])),
  );
  const result: Dropped = {
    vtep: shown.vtep !== undefined && shown.vtep.mac !== next.vtep?.mac,
    subnets: [],
    bridges: [],
  };
  for (const { name, subnets } of shown.networks ?? []) {
    for (const { cidr, bridges } of subnets) {
      const still = stays.get(`${name} ${cidr}`);
      if (still === undefined) result.subnets.push({ network: name, cidr });
      else if (bridges !== undefined && !keepsBridges(bridges, still.bridges)) result.bridges.push(name);
    }
  }
  return result;
}

type Bridges = NonNullable<AllocatedSubnet['bridges']>;

const keepsBridges = (shown: Bridges, next: Bridges | undefined): boolean =>
  (shown.cni === undefined || shown.cni === next?.cni) &&
  (shown.docker === undefined || shown.docker === next?.docker);

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

import type {
  AgentAllocationSpec,
  AllocatedNetwork,
  AllocatedSubnet,
  Containerizer,
  LedgerBlock,
  LedgerIndex,
  LedgerPage,
  LedgerSpace,
  OverlayNetwork,
  PinnedConfig,
  Vtep,
} from '../api/types.ts';
import { block, formatCidr, halves, parseCidr } from '../net/cidr.ts';
import { vtepAt } from '../net/vtep.ts';
import type { Accepted } from './register.ts';
import { inPage, listedPages, vtepSpace } from './space.ts';
import type { Ledger, NodeFacts } from './view.ts';
import { bridgesLabel } from '../api/labels.ts';

/** A node's block of one space, from the ledger. */
export interface HeldBlock {
  space: LedgerSpace;
  index: number;
  /** Name of the page that says so. */
  page: string;
}

/** One space's blocks by node. */
interface HeldSpace {
  space: LedgerSpace;
  pages: ReadonlyMap<string, LedgerPage>;
  nodes: Map<string, { index: number; page: string }>;
  /** A node stands in it twice: the first counts, and all pages are needed to tell which that is. */
  twice: boolean;
}

/** Every node's blocks, from the ledger alone. Only what a page changed is read again. */
export class Holdings {
  #spaces: HeldSpace[] = [];

  /**
   * Takes a ledger in; cheap where its objects are those of the last time.
   * @returns nodes that hold something else than before; `all`: any of them may
   */
  read(ledger: Ledger, index: LedgerIndex): ReadonlySet<string> | 'all' {
    const changed = new Set<string>();
    let isTold = true;
    const before = new Map(this.#spaces.map((one) => [one.space.cidr, one]));
    const spaces = index.spaces
      .filter(({ retiredAt }) => retiredAt === undefined)
      .map((space) => {
        const good = listedPages(ledger, space).filter(({ state }) => state === 'good');
        const pages = new Map(good.map(({ name, page }) => [name, page]));
        const old = before.get(space.cidr);
        const next = old?.space.network === space.network ? reread(old, pages, changed) : undefined;
        if (next === undefined) isTold = false;
        return { space, pages, ...(next === undefined ? inSpace(pages) : { nodes: next, twice: false }) };
      });
    if (spaces.length !== this.#spaces.length) isTold = false;
    this.#spaces = spaces;
    return isTold ? changed : 'all';
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

  has(node: string): boolean {
    return this.#spaces.some(({ nodes }) => nodes.has(node));
  }

  /** Nodes with a block of that space. */
  nodesIn(cidr: string): Pick<ReadonlyMap<string, unknown>, 'has'> {
    return this.#spaces.find(({ space }) => space.cidr === cidr)?.nodes ?? new Map();
  }

  /** The nodes in these pages, and nothing else; undefined where that is not what was read, or one of them stands there twice. */
  nodesOf(cidr: string, pages: readonly LedgerPage[]): ReadonlyMap<string, unknown> | undefined {
    const found = this.#spaces.find(({ space }) => space.cidr === cidr);
    if (found === undefined || found.twice || found.pages.size !== pages.length) return undefined;
    let at = 0;
    for (const page of found.pages.values()) if (page !== pages[at++]) return undefined;
    return found.nodes;
  }
}

/** A quarantined block stays with the node that the ledger names: its containers are not cut. */
const holds = (page: LedgerPage, entry: LedgerBlock): boolean =>
  (entry.state === 'Held' || entry.state === 'Quarantined') && inPage(page, entry);

function inSpace(pages: ReadonlyMap<string, LedgerPage>): Pick<HeldSpace, 'nodes' | 'twice'> {
  const nodes: HeldSpace['nodes'] = new Map();
  let twice = false;
  for (const [name, page] of pages) {
    for (const entry of page.blocks) {
      if (!holds(page, entry)) continue;
      if (nodes.has(entry.node)) twice = true;
      else nodes.set(entry.node, { index: entry.index, page: name });
    }
  }
  return { nodes, twice };
}

/**
 * The nodes with what the changed pages say; undefined where it takes all pages to tell.
 * @param changed takes in the nodes that hold something else
 */
function reread(
  { pages, nodes, twice }: HeldSpace,
  next: ReadonlyMap<string, LedgerPage>,
  changed: Set<string>,
): HeldSpace['nodes'] | undefined {
  if (twice || [...pages.keys()].some((name) => !next.has(name))) return undefined;
  for (const [name, page] of next) {
    const old = pages.get(name);
    if (old === page) continue;
    const was = new Map<string, number>();
    for (const { node } of old?.blocks ?? []) {
      const held = nodes.get(node);
      if (held?.page !== name) continue;
      was.set(node, held.index);
      nodes.delete(node);
    }
    for (const entry of page.blocks) {
      if (!holds(page, entry)) continue;
      if (nodes.has(entry.node)) return undefined;
      nodes.set(entry.node, { index: entry.index, page: name });
      if (was.get(entry.node) === entry.index) was.delete(entry.node);
      else was.set(entry.node, entry.index);
    }
    for (const node of was.keys()) changed.add(node);
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
    { addresses, further }: Pick<Accepted, 'addresses' | 'further'>,
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
      ...(further === undefined ? {} : { furtherAddresses: [...further] }),
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
    (a.furtherAddresses ?? []).join() === (b.furtherAddresses ?? []).join() &&
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

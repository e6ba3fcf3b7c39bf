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
  /** Name of the page that has the block. */
  page: string;
  /** A VTEP's MAC, if it does not follow from the index. */
  mac?: string;
}

/** A node's block of one space. */
type Held = Omit<HeldBlock, 'space'>;

/** The blocks of one space, by node. */
interface HeldSpace {
  space: LedgerSpace;
  pages: ReadonlyMap<string, LedgerPage>;
  nodes: Map<string, Held>;
  /** Whether some node has two blocks: the first counts, and only all pages together tell which is the first. */
  twice: boolean;
}

/** Every node's blocks, from the ledger alone. Only changed pages are read again. */
export class Holdings {
  #spaces: HeldSpace[] = [];

  /**
   * Reads a ledger. It is cheap if its objects are those of the last time.
   * @returns the nodes whose blocks changed; `all` if any may have changed
   */
  read(ledger: Ledger, index: LedgerIndex): ReadonlySet<string> | 'all' {
    const changed = new Set<string>();
    let isComplete = true;
    const before = new Map(this.#spaces.map((one) => [one.space.cidr, one]));
    const spaces = index.spaces
      .filter(({ retiredAt }) => retiredAt === undefined)
      .map((space) => {
        const good = listedPages(ledger, space).filter(({ state }) => state === 'good');
        const pages = new Map(good.map(({ name, page }) => [name, page]));
        const old = before.get(space.cidr);
        const next = old?.space.network === space.network ? reread(old, pages, changed) : undefined;
        if (next === undefined) isComplete = false;
        return { space, pages, ...(next === undefined ? inSpace(pages) : { nodes: next, twice: false }) };
      });
    if (spaces.length !== this.#spaces.length) isComplete = false;
    this.#spaces = spaces;
    return isComplete ? changed : 'all';
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

  /** The nodes that have a block of the space. */
  nodesIn(cidr: string): Pick<ReadonlyMap<string, unknown>, 'has'> {
    return this.#spaces.find(({ space }) => space.cidr === cidr)?.nodes ?? new Map();
  }

  /** The nodes in exactly these pages. Undefined if other pages were read, or if a node is in them twice. */
  nodesOf(cidr: string, pages: readonly LedgerPage[]): ReadonlyMap<string, unknown> | undefined {
    const found = this.#spaces.find(({ space }) => space.cidr === cidr);
    if (found === undefined || found.twice || found.pages.size !== pages.length) return undefined;
    let at = 0;
    for (const page of found.pages.values()) if (page !== pages[at++]) return undefined;
    return found.nodes;
  }
}

/**
 * Whether the node holds the block. A quarantined block stays with the node that the ledger names, so that its
 * containers keep their connections.
 */
const holds = (page: LedgerPage, entry: LedgerBlock): boolean =>
  (entry.state === 'Held' || entry.state === 'Quarantined') && inPage(page, entry);

const heldIn = (page: string, { index, mac }: LedgerBlock): Held =>
  mac === undefined ? { index, page } : { index, page, mac };

function inSpace(pages: ReadonlyMap<string, LedgerPage>): Pick<HeldSpace, 'nodes' | 'twice'> {
  const nodes: HeldSpace['nodes'] = new Map();
  let twice = false;
  for (const [name, page] of pages) {
    for (const entry of page.blocks) {
      if (!holds(page, entry)) continue;
      if (nodes.has(entry.node)) twice = true;
      else nodes.set(entry.node, heldIn(name, entry));
    }
  }
  return { nodes, twice };
}

/**
 * Updates the nodes by the changed pages. Returns undefined if all pages are needed to tell.
 * @param changed receives the nodes whose blocks changed
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
    const was = new Map<string, Held>();
    for (const { node } of old?.blocks ?? []) {
      const held = nodes.get(node);
      if (held?.page !== name) continue;
      was.set(node, held);
      nodes.delete(node);
    }
    for (const entry of page.blocks) {
      if (!holds(page, entry)) continue;
      if (nodes.has(entry.node)) return undefined;
      const held = heldIn(name, entry);
      nodes.set(entry.node, held);
      const before = was.get(entry.node);
      if (before?.index === held.index && before.mac === held.mac) was.delete(entry.node);
      else was.set(entry.node, held);
    }
    for (const node of was.keys()) changed.add(node);
  }
  return nodes;
}

/** Renders allocation specs. */
export class Renderer {
  /** By space and containerizers. 5,000 nodes are rendered whenever a network changes, and making text is expensive. */
  #texts = new Map<string, Map<number, AllocatedSubnet>>();
  #used = new Set<string>();

  /** Forgets the texts of spaces that were not rendered since the last call. */
  forgetUnused(): void {
    for (const key of this.#texts.keys()) if (!this.#used.has(key)) this.#texts.delete(key);
    this.#used = new Set();
  }

  /** Renders a node's spec without `revision`, which the caller sets. */
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
    for (const { space, index, mac } of blocks) {
      const { cidr, network } = space;
      if (cidr === vtepSpace) {
        vtep = config && vtepAt(config.vtepSubnets, config.vtepMACOUI, index);
        if (vtep !== undefined && mac !== undefined) vtep = { ...vtep, mac };
        continue;
      }
      const containerizers = networks.get(network)?.spec.containerizers ?? [];
      const entry = byNetwork.get(network) ?? { name: network, subnets: [] };
      entry.subnets.push(this.#subnet(space, index, bare ? [] : containerizers));
      byNetwork.set(network, entry);
    }
    // without a VTEP no other node can reach the blocks
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

/** What a node loses: parts of its AgentAllocation that the next spec does not have. */
export interface Dropped {
  vtep: boolean;
  subnets: { network: string; cidr: string }[];
  /** Networks whose block stays and that lose a bridge. */
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

/**
 * Whether two specs are the same except for `revision`. The order of keys does not matter, since the API server keeps
 * none.
 */
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

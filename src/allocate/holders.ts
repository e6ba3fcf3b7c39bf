import type { OverlayAgent } from '../api/types.ts';
import { isWithin, type Cidr } from '../net/cidr.ts';
import { indexOf, type Ledger, type View } from './view.ts';

/** A node's blocks of a network, or of one of its subnets. */
export interface Holder {
  node: string;
  /** Blocks that its AgentAllocation shows. */
  shown: string[];
  /** Blocks that its agent says to hold although they are not shown to it any more: something still uses them there. */
  stillUsed: string[];
  /**
   * The ledger gave it one, and none is shown: its AgentAllocation was deleted, or is still to be written. It is shown its
   * block again.
   */
  unshown: boolean;
}

type Facts = Pick<View, 'nodes' | 'allocations' | 'agents' | 'ledger'>;

/** The nodes on which containers may use the network; of a subnet of it: where `cidr` is given as `whole` too. */
export function holdersOf(
  network: string,
  { nodes, allocations, agents, ledger }: Facts,
  subnet?: { cidr: string; whole: Cidr },
): Holder[] {
  const isPart = (block: string) => subnet === undefined || isWithin(subnet.whole, block);
  const given = givenTo(network, ledger, subnet?.cidr);
  return [...nodes.keys()].flatMap((node) => {
    const all = (allocations.get(node)?.spec.networks ?? [])
      .filter(({ name }) => name === network)
      .flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr));
    const shown = all.filter(isPart);
    const stillUsed = heldBy(agents.get(node), network).filter(
      (block) => isPart(block) && !all.includes(block),
    );
    const unshown = shown.length === 0 && given.has(node);
    return shown.length + stillUsed.length === 0 && !unshown ? [] : [{ node, shown, stillUsed, unshown }];
  });
}

const heldBy = (agent: OverlayAgent | undefined, network: string): string[] =>
  agent?.spec.networks?.find(({ name }) => name === network)?.subnets ?? [];

/** Nodes that the ledger gave a block, whatever their AgentAllocations show. */
function givenTo(network: string, ledger: Ledger, cidr: string | undefined): ReadonlySet<string> {
  const spaces = new Set(
    cidr === undefined
      ? indexOf(ledger)
          .spaces.filter((space) => space.network === network)
          .map((space) => space.cidr)
      : [cidr],
  );
  return new Set(
    [...ledger.pages.values()].flatMap(({ spec: { page } }) =>
      page === undefined || !spaces.has(page.space)
        ? []
        : page.blocks.flatMap(({ node, state }) => (state === 'Held' ? [node] : [])),
    ),
  );
}

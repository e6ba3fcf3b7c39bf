import type { LedgerSpace, OverlayNetwork } from '../api/types.ts';
import { familyOf } from '../net/address.ts';
import type { Facts } from './facts.ts';

/** A full subnet, and the nodes that wait for a block of it. */
export interface Shortage {
  space: LedgerSpace;
  nodes: string[];
}

type Nodes = Pick<ReadonlySet<string>, 'has'>;

/**
 * Judges which nodes have what they need of a network. A container takes one address of each family, of any Active
 * subnet. So a node should have a block of each Active subnet, but where one is full, another block of that family is
 * enough. Otherwise a full subnet would stay a fault after another one was appended.
 */
export class Needs {
  readonly shortages: readonly Shortage[];
  /** By Active subnet: the nodes that have a block of it, and those that do without. */
  readonly #served: readonly (readonly [Nodes, Nodes])[];

  constructor({ metadata, spec }: OverlayNetwork, facts: Pick<Facts, 'plan' | 'index' | 'holdings'>) {
    const { plan, index, holdings } = facts;
    const isDraining = (cidr: string) =>
      spec.subnets.some((entry) => entry.cidr === cidr && entry.state === 'Draining');
    // a network that is being deleted gives out no blocks
    const serves = metadata.deletionTimestamp === undefined;
    const active = index.spaces.flatMap(({ network, retiredAt, cidr }) =>
      serves && network === metadata.name && retiredAt === undefined && !isDraining(cidr)
        ? [{ cidr, family: familyOf(cidr), holders: holdings.nodesIn(cidr) }]
        : [],
    );
    const shortages: Shortage[] = [];
    this.#served = active.map(({ cidr, family, holders }) => {
      const full = plan.exhausted.find(({ space }) => space.network === metadata.name && space.cidr === cidr);
      if (full === undefined) return [holders, new Set()];
      const others = active.filter((other) => other.cidr !== cidr && other.family === family);
      const hasOther = (node: string) => others.some((other) => other.holders.has(node));
      const short = full.nodes.filter((node) => !hasOther(node));
      if (short.length > 0) shortages.push({ space: full.space, nodes: short });
      return [holders, new Set(full.nodes.filter(hasOther))];
    });
    this.shortages = shortages;
  }

  areMet(node: string): boolean {
    return this.#served.every(([holders, spared]) => holders.has(node) || spared.has(node));
  }
}

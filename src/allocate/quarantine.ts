import type { LedgerIndex, LedgerPage, QuarantinedBlock } from '../api/types.ts';
import { block, formatCidr, parseCidr } from '../net/cidr.ts';
import { vtepAt } from '../net/vtep.ts';
import { remembered } from './remembered.ts';
import { inPage, listedPages, statedIndexes, vtepSpace } from './space.ts';
import type { View } from './view.ts';

/** The most blocks that OverlayConfig's status lists. */
export const mostListed = 32;

/** The most nodes that the status names for one block. */
const mostNodes = 8;

const quarantinedIn = remembered((page: LedgerPage) =>
  page.blocks.filter((entry) => entry.state === 'Quarantined' && inPage(page, entry)),
);

/** Blocks that the ledger says are quarantined, each with every node whose agent says that it holds it. */
export function quarantinedBlocks(view: View, index: LedgerIndex): QuarantinedBlock[] {
  return index.spaces.flatMap((space) => {
    if (space.retiredAt !== undefined) return [];
    const found = listedPages(view.ledger, space).flatMap(({ page, state }) =>
      state === 'good' ? quarantinedIn(page) : [],
    );
    return found.map((entry) => {
      const others = [...view.agents].flatMap(([node, { spec }]) =>
        node !== entry.node && statedIndexes(space, spec, index.config).includes(entry.index) ? [node] : [],
      );
      const isVtep = space.cidr === vtepSpace;
      const text = isVtep
        ? vtepText(index, entry.index)
        : formatCidr(block(parseCidr(space.cidr), space.prefix, entry.index));
      return {
        network: space.network,
        cidr: text,
        nodes: [entry.node, ...others.sort()].slice(0, mostNodes),
      };
    });
  });
}

/**
 * Nodes that hold a quarantined block of another node, and that OverlayConfig's status does not name yet. Until it
 * does, their AgentAllocations must not change: their agents would drop the block. Nodes for which the list has no room
 * wait until it gets shorter.
 */
export function unpublishedNodes(view: View, index: LedgerIndex): ReadonlySet<string> {
  const published = new Set((view.config?.status?.quarantined ?? []).map(textOf));
  const unpublished = quarantinedBlocks(view, index).filter((one) => !published.has(textOf(one)));
  return new Set(unpublished.flatMap(({ nodes }) => nodes.slice(1)));
}

const textOf = ({ network, cidr, nodes }: QuarantinedBlock): string => [network, cidr, ...nodes].join(' ');

function vtepText({ config }: LedgerIndex, index: number): string {
  const vtep = config && vtepAt(config.vtepSubnets, config.vtepMACOUI, index);
  return vtep?.ip ?? vtep?.ip6 ?? '';
}

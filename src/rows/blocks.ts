import { isReadable, capacity, inPage, listedPages, vtepSpace } from '../allocate/space.ts';
import { spaceCapacity } from '../allocate/capacity.ts';
import { indexOf } from '../allocate/view.ts';
import { parseDuration } from '../api/duration.ts';
import type { AgentAllocation, LedgerBlock, LedgerSpace, PinnedConfig } from '../api/types.ts';
import { block, formatCidr, parseCidr } from '../net/cidr.ts';
import { vtepAt } from '../net/vtep.ts';
import { sortable, type Entry } from './entry.ts';
import type { BlockRow, SpaceRow } from './row.ts';
import { usageBySpace } from './usage.ts';
import type { World } from './world.ts';
import { withoutLength } from '../net/address.ts';

/** Returns every block that is not free, including VTEPs. */
export function blockEntries({ ledger, config, allocations }: World): Entry<BlockRow>[] {
  const index = indexOf(ledger);
  const cooldownMs = parseDuration(config?.spec.reuseCooldown ?? '') ?? 0;
  return index.spaces.filter(isReadable).flatMap((space) => {
    const order = sortable(space.cidr);
    const most = capacity(space, index.config);
    return listedPages(ledger, space).flatMap(({ page }) =>
      page.blocks
        .filter((one) => inPage(page, one) && one.index < most)
        .map((one) => {
          const key = `${space.network}\n${order}\n${one.index.toString(16).padStart(6, '0')}`;
          return entryOf(key, blockRow(space, one, index.config, cooldownMs, allocations.get(one.node)));
        }),
    );
  });
}

function entryOf(key: string, row: BlockRow): Entry<BlockRow> {
  const { network, node, state, cidr, space } = row;
  return {
    row,
    key,
    isOf: { network: (name) => name === network, node: (name) => name === node },
    words: () => [network, node, state, space],
    ranges: () => [space === vtepSpace ? withoutLength(cidr) : cidr],
  };
}

function blockRow(
  { cidr: space, prefix, network }: LedgerSpace,
  { index, node, state, since }: LedgerBlock,
  config: PinnedConfig | undefined,
  cooldownMs: number,
  allocation: AgentAllocation | undefined,
): BlockRow {
  const cidr =
    space === vtepSpace ? vtepText(config, index) : formatCidr(block(parseCidr(space), prefix, index));
  const bridges = allocation?.spec.networks
    ?.find(({ name }) => name === network)
    ?.subnets.find((one) => one.cidr === cidr)?.bridges;
  const freeAt = Date.parse(since) + cooldownMs;
  return {
    network,
    space,
    cidr,
    node,
    state,
    since,
    ...(state === 'Cooling' && Number.isFinite(freeAt) ? { freeAt: new Date(freeAt).toISOString() } : {}),
    ...(bridges === undefined ? {} : { bridges: { ...bridges } }),
  };
}

function vtepText(config: PinnedConfig | undefined, index: number): string {
  if (config === undefined) return '';
  const { ip, ip6 } = vtepAt(config.vtepSubnets, config.vtepMACOUI, index);
  return ip ?? ip6 ?? '';
}

export function spaceEntries({ ledger, networks, agents }: World): Entry<SpaceRow>[] {
  const index = indexOf(ledger);
  const usage = usageBySpace(index.spaces, agents.values());
  return index.spaces.filter(isReadable).map((space) => {
    const { cidr, network, prefix } = space;
    const counts = spaceCapacity(ledger, space, index);
    const draining = networks
      .find(({ metadata }) => metadata.name === network)
      ?.spec.subnets.some((one) => one.cidr === cidr && one.state === 'Draining');
    const state = space.retiredAt !== undefined ? 'Retired' : draining === true ? 'Draining' : 'Active';
    const holders = () => listedPages(ledger, space).flatMap(({ page }) => page.blocks);
    return {
      row: { network, prefix, state, ...counts, usage: usage.get(cidr) ?? [] },
      key: `${network}\n${sortable(cidr)}`,
      isOf: {
        network: (name) => name === network,
        node: (name) => holders().some(({ node }) => node === name),
      },
      words: () => [network, cidr === vtepSpace ? cidr : '', state],
      ranges: () => (cidr === vtepSpace ? (index.config?.vtepSubnets ?? []) : [cidr]),
    };
  });
}

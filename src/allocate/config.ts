import type { LedgerIndex, LedgerSettings, LedgerSpace, PinnedConfig } from '../api/types.ts';
import { parseDuration } from '../api/duration.ts';
import { clashes } from '../api/ranges.ts';
import { validateConfig } from '../api/validate.ts';
import { isAddress, parseAddress, readable } from '../net/address.ts';
import { contains, containsAddress, overlaps, parseCidr, parseInterface } from '../net/cidr.ts';
import { vtepCapacity } from '../net/vtep.ts';
import type { TakenSpace } from './addresses.ts';
import { keepsVTEPs } from './macs.ts';
import { isUnused, mtuRefusal } from './mtu.ts';
import { rangeRefusal } from './overlap.ts';
import { vtepSpace } from './space.ts';
import type { Refusal, View } from './view.ts';

const defaultCooldownMs = 600_000;

/** How long a released block cools, in milliseconds. Without an OverlayConfig the value of the last one counts. */
export const cooldown = ({ config }: Pick<View, 'config'>, { settings }: LedgerIndex): number =>
  parseDuration(config?.spec.reuseCooldown ?? settings?.reuseCooldown ?? '') ?? defaultCooldownMs;

/** The settings that outlive a deleted OverlayConfig. Returns the same object if nothing changed. */
export function settingsOf(
  { config }: Pick<View, 'config'>,
  before: LedgerSettings | undefined,
): LedgerSettings | undefined {
  if (config === undefined) return before;
  const { mtu, defaultNetwork, nodeSubnets, reuseCooldown, staleAfter } = config.spec;
  const same =
    before?.mtu === mtu &&
    before?.defaultNetwork === defaultNetwork &&
    before.nodeSubnets?.join() === nodeSubnets?.join() &&
    before.reuseCooldown === reuseCooldown &&
    before.staleAfter === staleAfter;
  if (same) return before;
  return {
    ...(mtu === undefined ? {} : { mtu }),
    defaultNetwork,
    ...(nodeSubnets === undefined ? {} : { nodeSubnets }),
    reuseCooldown,
    ...(staleAfter === undefined ? {} : { staleAfter }),
  };
}

/**
 * The subnets that nodes may have their addresses in; undefined if not given. Without an OverlayConfig the last value
 * counts. Text that is no subnet allows nothing.
 */
export const nodeSubnetsOf = (
  { config }: Pick<View, 'config'>,
  { settings }: LedgerIndex,
): readonly string[] | undefined => (config?.spec ?? settings)?.nodeSubnets?.filter(isCidr);

/** The part of a configuration that is pinned at the first registration. */
export function pinnable({ vtepSubnets, vtepMACOUI, vni, port, underlay }: PinnedConfig): PinnedConfig {
  return { vtepSubnets, vtepMACOUI, vni, port, underlay };
}

/** Tells why OverlayConfig, or a part of it, is not in force. */
export function configRefusal(
  view: Pick<View, 'config' | 'allocations' | 'agents' | 'nodes' | 'ledger'>,
  index: LedgerIndex,
): Refusal | undefined {
  const { config } = view;
  if (config === undefined) return undefined;
  const { spec } = config;
  const invalid = validateConfig(spec);
  if (invalid !== undefined) return invalid;
  const pinned = index.config;
  const mtu = mtuRefusal(
    spec.mtu,
    index,
    (pinned === undefined || isFree(view, index) ? spec : pinned).vtepSubnets,
  );
  if (mtu !== undefined) return mtu;
  return pinned === undefined
    ? (vtepOverlap(spec.vtepSubnets, index) ??
        heldElsewhere(spec.vtepSubnets, view) ??
        againstRanges(spec.vtepSubnets, [], view))
    : pinnedRefusal(pinnable(spec), pinned, index, view);
}

const pinnedFields = ['vtepSubnets', 'vtepMACOUI', 'vni', 'port', 'underlay'] as const;

const changes = (wanted: PinnedConfig, pinned: PinnedConfig) =>
  pinnedFields.filter((field) => String(wanted[field]) !== String(pinned[field]));

/**
 * Whether pinned fields may still change. They may while no network has blocks: then no container loses its connection
 * while nodes change over one after another. During a restore networks may be missing, so nothing changes.
 */
const isFree = (view: Pick<View, 'allocations' | 'agents' | 'ledger'>, index: LedgerIndex): boolean =>
  isUnused(view, index) &&
  !keepsVTEPs(view) &&
  (index.restored === undefined || index.restored.over !== undefined);

function pinnedRefusal(
  wanted: PinnedConfig,
  pinned: PinnedConfig,
  index: LedgerIndex,
  view: Pick<View, 'config' | 'allocations' | 'agents' | 'nodes' | 'ledger'>,
): Refusal | undefined {
  const fields = changes(wanted, pinned);
  if (fields.length === 0) return undefined;
  if (fields.join() === 'vtepSubnets' && grows(wanted.vtepSubnets, pinned.vtepSubnets)) {
    return (
      vtepOverlap(wanted.vtepSubnets, index) ??
      nodeInVtepSubnet(wanted.vtepSubnets, view) ??
      againstRanges(wanted.vtepSubnets, pinned.vtepSubnets, view)
    );
  }
  if (isFree(view, index))
    return (
      nodeInVtepSubnet(wanted.vtepSubnets, view) ??
      tooFewVTEPs(wanted.vtepSubnets, view) ??
      sharedAddresses(wanted.vtepSubnets, pinned.vtepSubnets) ??
      againstRanges(wanted.vtepSubnets, pinned.vtepSubnets, view)
    );
  const each = fields.map(
    (field) => `spec.${field}: ${String(wanted[field])} is not in force, ${String(pinned[field])} is`,
  );
  const but = fields.includes('vtepSubnets')
    ? '; a VTEP subnet may only grow, to a shorter prefix that begins at the same address'
    : '';
  return {
    reason: 'Pinned',
    message: `${each.join('; ')}; these are pinned as long as a network has blocks, cooling ones too, or a VTEP is reserved${but}`,
  };
}

/**
 * Refuses subnets in which one node's new VTEP could be another node's old one, because nodes change over one after
 * another.
 */
function sharedAddresses(wanted: readonly string[], pinned: readonly string[]): Refusal | undefined {
  for (const subnet of wanted) {
    const next = parseCidr(subnet);
    const old = pinned.find((text) => overlaps(next, parseCidr(text)) && parseCidr(text).base !== next.base);
    if (old === undefined) continue;
    return {
      reason: 'Overlap',
      message: `spec.vtepSubnets: ${subnet} overlaps ${old}, which is in force, and does not begin at the same address`,
    };
  }
  return undefined;
}

/**
 * Refuses subnets that are too small for the numbers that nodes have. A node keeps its number when the subnets change.
 */
function tooFewVTEPs(vtepSubnets: readonly string[], { ledger }: Pick<View, 'ledger'>): Refusal | undefined {
  const room = vtepCapacity(vtepSubnets);
  for (const { spec } of ledger.pages.values()) {
    const last = spec.page?.space === vtepSpace ? spec.page.blocks.at(-1) : undefined;
    if (last === undefined || last.index < room) continue;
    return {
      reason: 'TooSmall',
      message: `spec.vtepSubnets: ${vtepSubnets.join(', ')} has ${room} VTEPs, and node ${last.node} holds number ${last.index + 1}`,
    };
  }
  return undefined;
}

/**
 * Whether each subnet is the pinned one, with the same prefix or a shorter one. Then every VTEP keeps its index and
 * address.
 */
const grows = (wanted: readonly string[], pinned: readonly string[]): boolean =>
  wanted.length === pinned.length &&
  pinned.every((text) => {
    const old = parseCidr(text);
    return wanted.map(parseCidr).some((next) => contains(next, old) && next.base === old.base);
  });

/**
 * The pinned configuration from now on: the wanted one unless it was refused. Returns the same object if nothing
 * changes.
 */
export function pinnedNext(
  pinned: PinnedConfig | undefined,
  { config }: Pick<View, 'config'>,
  refusal: Refusal | undefined,
): PinnedConfig | undefined {
  if (config === undefined || refusal !== undefined) return pinned;
  const wanted = pinnable(config.spec);
  return pinned !== undefined && changes(wanted, pinned).length === 0 ? pinned : wanted;
}

function vtepOverlap(vtepSubnets: readonly string[], { spaces }: LedgerIndex): Refusal | undefined {
  for (const subnet of vtepSubnets) {
    const hit = spaces.find(({ cidr }) => cidr !== vtepSpace && overlaps(parseCidr(cidr), parseCidr(subnet)));
    if (hit !== undefined) {
      return {
        reason: 'Overlap',
        message: `spec.vtepSubnets: ${subnet} overlaps ${hit.cidr} of network ${hit.network}`,
      };
    }
  }
  return undefined;
}

function nodeInVtepSubnet(
  vtepSubnets: readonly string[],
  { allocations }: Pick<View, 'allocations'>,
): Refusal | undefined {
  const subnets = vtepSubnets.map((text) => ({ text, cidr: parseCidr(text) }));
  for (const [node, { spec }] of allocations) {
    for (const address of spec.addresses.filter(isAddress)) {
      const hit = subnets.find(({ cidr }) => containsAddress(cidr, parseAddress(address)));
      if (hit !== undefined) {
        return {
          reason: 'Overlap',
          message: `spec.vtepSubnets: ${hit.text} contains ${address}, an address of node ${node}`,
        };
      }
    }
  }
  return undefined;
}

/**
 * Refuses VTEP subnets that overlap other ranges of nodes. A range that overlaps a subnet in force
 * came later, and refuses no change.
 */
function againstRanges(
  wanted: readonly string[],
  pinned: readonly string[],
  { config, agents, nodes, allocations }: Pick<View, 'config' | 'agents' | 'nodes' | 'allocations'>,
): Refusal | undefined {
  const known = [...agents.values()].filter(({ metadata }) => nodes.has(metadata.name));
  const hasVTEP = [...known, ...allocations.values()].some(({ spec }) => spec.vtep !== undefined);
  // if the ledger was lost, these subnets are already in the nodes' kernels
  if (pinned.length === 0 && hasVTEP) return undefined;
  const old = pinned.map(parseCidr);
  const of = { field: 'spec.vtepSubnets', object: 'overlayconfig default', metadata: config?.metadata ?? {} };
  for (const cidr of wanted) {
    const refusal = rangeRefusal({ ...of, cidr }, known, (range, kind) =>
      old.some((subnet) => clashes(subnet, range, kind)),
    );
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/**
 * Refuses VTEP subnets that do not contain the VTEPs that nodes hold. These outlive a lost ledger. Such a configuration
 * is the default, and the user still has to apply the one that was in force.
 */
function heldElsewhere(
  vtepSubnets: readonly string[],
  view: Pick<View, 'allocations' | 'agents'>,
): Refusal | undefined {
  const subnets = vtepSubnets.map(parseCidr);
  for (const objects of [view.allocations, view.agents]) {
    for (const [node, { spec }] of objects) {
      for (const text of [spec.vtep?.ip, spec.vtep?.ip6]) {
        if (text === undefined || subnets.some((subnet) => holdsInterface(subnet, text))) continue;
        return {
          reason: 'HeldElsewhere',
          message:
            `spec.vtepSubnets: ${vtepSubnets.join(', ')} is not in force: node ${node} holds the VTEP ${text}, which is in none ` +
            'of them; apply the OverlayConfig that was in force before',
        };
      }
    }
  }
  return undefined;
}

const isCidr = (text: string): boolean => readable(() => parseCidr(text)) !== undefined;

function holdsInterface(subnet: ReturnType<typeof parseCidr>, text: string): boolean {
  const read = readable(() => parseInterface(text));
  return read === undefined || (containsAddress(subnet, read.address) && read.length >= subnet.length);
}

/** Adds the VTEPs' space, which exists from the moment that their subnets are pinned. */
export function withVtepSpace(
  spaces: LedgerSpace[],
  config: PinnedConfig | undefined,
  /** Returns the space with its remaining pages. */
  remains: (space: LedgerSpace) => LedgerSpace,
): LedgerSpace[] {
  if (config === undefined || spaces.some(({ cidr }) => cidr === vtepSpace)) return spaces;
  return [remains({ cidr: vtepSpace, prefix: 0, network: '', networkUID: '', pages: [] }), ...spaces];
}

/** The address spaces in which no node's own address may lie. */
export function takenSpaces({ spaces }: LedgerIndex, config: PinnedConfig | undefined): TakenSpace[] {
  return [
    ...(config?.vtepSubnets ?? []).map((cidr) => ({ cidr, owner: 'the VTEP subnets' })),
    ...spaces
      .filter(({ cidr }) => cidr !== vtepSpace)
      .map(({ cidr, network }) => ({ cidr, owner: `network ${network}` })),
  ];
}

import type { Departures, OverlayConfigSpec, PinnedConfig, Restoration } from './overlayconfig.ts';
import type { KubeObject } from './meta.ts';

/**
 * Which block belongs to which node. One object, `spaces`, has `index`; all others have `page`:
 * `vtep-N` and `net-NETWORK-N`, where N comes from a counter in `spaces` that never goes back.
 */
export interface AllocationLedger extends KubeObject {
  spec: { index?: LedgerIndex; page?: LedgerPage };
}

export interface LedgerIndex {
  /** Absent before the first registration. */
  config?: PinnedConfig;
  /** The values of OverlayConfig that are not pinned, as last seen. An OverlayConfig that is created again begins with them. */
  settings?: LedgerSettings;
  /** The tunnel's MTU in force, in bytes: no node that joins makes it smaller. */
  mtu?: number;
  /** With `over`, when it ended, and `upTo`, the resourceVersion then: what agents registered before that is settled. */
  restored?: Restoration & { over?: string; upTo?: string };
  departures?: Departures;
  /** UID of the CRD of OverlayNetwork: networks that go with their CRD were not deleted. */
  networksCRD?: string;
  /**
   * The index, or an entry of it, was lost and rebuilt: its content besides what was found again is unknown. Until every
   * AgentAllocation has been written since `version` and `reuseCooldown` since `since` is over, each new page is
   * `recovering`.
   */
  rebuilt?: Loss;
  nextPage: number;
  spaces: LedgerSpace[];
}

export type LedgerSettings = Pick<
  OverlayConfigSpec,
  'mtu' | 'defaultNetwork' | 'nodeSubnets' | 'reuseCooldown' | 'staleAfter'
>;

export interface LedgerSpace {
  /** `vtep`, or the subnet. */
  cidr: string;
  /** Length of a block; 0 for the VTEP space, whose block is one index. */
  prefix: number;
  /** Empty for the VTEP space. */
  network: string;
  networkUID: string;
  /** The number of each page: the k-th holds blocks 256k to 256k + 255. */
  pages: number[];
  /**
   * How many of these pages have been seen to exist; absent: none. Blocks are given out from those alone, and one of
   * those that is absent was lost.
   */
  made?: number;
  /** Numbers of pages that are made, or were made, in place of lost ones; they begin as `recovering`. */
  recovering?: number[];
  /** Set when the network or the entry is gone: its pages get `retired`, and it goes when all have cooled. */
  retiredAt?: string;
  /** It was retired by `removeWhenDrained`: the entry that is still in the network's spec does not bring it back. */
  drained?: boolean;
}

/**
 * Held by a node; being taken back; resting until `reuseCooldown` is over; held by two nodes as their agents say, or
 * outside its page, and so not given out; kept for the node of an OverlayReservation, and in no AgentAllocation.
 */
export type BlockState = 'Held' | 'Releasing' | 'Cooling' | 'Quarantined' | 'Reserved';

export interface LedgerBlock {
  /** Within the space, from 0. */
  index: number;
  /** Of one that is Reserved: the Node that it is kept for; empty: not known yet. */
  node: string;
  /** The Node's; of one that is Reserved: the OverlayReservation's. */
  uid: string;
  state: BlockState;
  /** When it came to that state. */
  since: string;
  /** Name of the OverlayReservation; only while it is Reserved. */
  reservation?: string;
  /** Of a VTEP: its MAC, if that differs from the one that follows from its index. */
  mac?: string;
}

/** When something of the ledger was found to be lost: a resourceVersion after the loss, and the time. */
export interface Loss {
  version: string;
  since: string;
}

export interface LedgerPage {
  /** The space's cidr, or `vtep`. */
  space: string;
  /** The space's; absent in pages of before it was recorded. */
  prefix?: number;
  /** Index of its first block, a multiple of 256. */
  first: number;
  /** A tombstone: nothing is ever given out from it again. */
  retired?: boolean;
  /**
   * Made in place of a page that was lost. What nodes hold is taken up again; nothing else is given out before every
   * AgentAllocation has been written since `version` (a resourceVersion after the loss), so that no late write counts any
   * more, and `reuseCooldown` since `since` is over.
   */
  recovering?: Loss;
  /** Sorted by index; an index that is absent is free. */
  blocks: LedgerBlock[];
}

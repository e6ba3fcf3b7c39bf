import type { LedgerSpace } from '../api/types.ts';
import type { Refusal } from './view.ts';

/** What a reservation asks of one space, unless it is refused or its node has it already. */
export interface Claim {
  /** Name and UID of the reservation, and the version that was read. */
  name: string;
  uid: string;
  version: number;
  /** The Node; empty: none yet. */
  node: string;
  index: number;
  /** A VTEP's MAC, if it differs from the one that follows from the index. */
  mac?: string;
}

/** The claims on one space. No two have one index, and no two one node. */
export interface SpaceClaims {
  byIndex: ReadonlyMap<number, Claim>;
  byNode: ReadonlyMap<string, Claim>;
  /** By node: the index of the ledger's entry that keeps it from getting its reserved block. */
  refused: ReadonlyMap<string, number>;
}

/** One thing that a reservation asks for. */
export interface Part {
  /** `VTEP 44.128.0.2/20`, `9.0.1.0/24 of network dcos` */
  text: string;
  /** `Waiting`: it will be Reserved by itself. */
  state: 'Held' | 'Reserved' | 'Waiting' | 'Refused';
  /** Why it waits or is refused. */
  why?: Refusal;
}

/** The state of one reservation. */
export interface ReservationVerdict {
  expired: boolean;
  /** Empty: none yet. */
  node: string;
  parts: Part[];
}

export interface Reservations {
  claims: ReadonlyMap<LedgerSpace, SpaceClaims>;
  /** By name. */
  verdicts: ReadonlyMap<string, ReservationVerdict>;
  /** Each node gets only new blocks that are reserved for it. */
  exclusive: boolean;
  /** When the next one expires, in milliseconds since the epoch; Infinity: never. */
  wakeAt: number;
}

export const noClaims: SpaceClaims = { byIndex: new Map(), byNode: new Map(), refused: new Map() };

export const noReservations: Reservations = {
  claims: new Map(),
  verdicts: new Map(),
  exclusive: false,
  wakeAt: Infinity,
};

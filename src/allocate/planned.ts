import type { LedgerSpace } from '../api/types.ts';
import type { DepartureVerdict } from './departures.ts';
import type { Registrations } from './register.ts';
import type { Reservations } from './reserved.ts';
import type { RestoreVerdict } from './restore.ts';
import type { Reads, Refusal, Write } from './view.ts';

/** A plan: what to write, what to read first, and what the conditions say. */
export interface Plan {
  /** Writes that are safe now, in any order. Plan again once they are done. */
  writes: Write[];
  /** What must be read before the rest can be planned. */
  reads: Reads;
  /** When something cools off, in milliseconds since the epoch; Infinity: never. */
  wakeAt: number;
  /** The conditions follow from this and the next fields. */
  registrations: Registrations;
  refusedNetworks: Map<string, Refusal>;
  refusedConfig: Refusal | undefined;
  departures: DepartureVerdict;
  restore: RestoreVerdict;
  /** Bytes; undefined until an agent has registered. */
  mtu: number | undefined;
  /** Nodes that get no block of the space, because none is free. */
  exhausted: { space: LedgerSpace; nodes: string[] }[];
  reservations: Reservations;
}

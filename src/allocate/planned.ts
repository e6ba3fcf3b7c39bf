import type { LedgerSpace } from '../api/types.ts';
import type { DepartureVerdict } from './departures.ts';
import type { Registrations } from './register.ts';
import type { RestoreVerdict } from './restore.ts';
import type { Reads, Refusal, Write } from './view.ts';

/** What `plan` decides. */
export interface Plan {
  /** Safe to do now, in any order among themselves. Plan again once they are done. */
  writes: Write[];
  /** What must be read before the rest can be planned. */
  reads: Reads;
  /** When something cools off, in milliseconds since the epoch; Infinity: never. */
  wakeAt: number;
  /** For the conditions. */
  registrations: Registrations;
  refusedNetworks: Map<string, Refusal>;
  refusedConfig: Refusal | undefined;
  departures: DepartureVerdict;
  restore: RestoreVerdict;
  /** Bytes; undefined until an agent has registered. */
  mtu: number | undefined;
  /** Nodes that wait for a block of that space, and find none. */
  exhausted: { space: LedgerSpace; nodes: string[] }[];
}

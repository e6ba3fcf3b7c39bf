import type { LedgerIndex } from '../api/types.ts';
import type { Reads, View } from './view.ts';

/** How often, in milliseconds, a CRD is read again that is being deleted. */
const kindGoesMs = 5_000;

/**
 * Tells whether the API server itself has just confirmed the reason for a removal. A cache may be old. What was not
 * asked yet goes into `reads`.
 */
export class Certainty {
  /** When to plan again although nothing changed, in milliseconds since the epoch; Infinity: never. */
  wakeAt = Infinity;
  readonly #view: View;
  readonly #networks: Pick<ReadonlyMap<string, unknown>, 'has'>;
  readonly #index: Pick<LedgerIndex, 'networksCRD'>;
  readonly #reads: Reads;

  /** @param networks those that are not being deleted, by name */
  constructor(
    view: View,
    networks: Pick<ReadonlyMap<string, unknown>, 'has'>,
    index: Pick<LedgerIndex, 'networksCRD'>,
    reads: Reads,
  ) {
    this.#view = view;
    this.#networks = networks;
    this.#index = index;
    this.#reads = reads;
  }

  ofNode(name: string): boolean {
    return this.#wasAsked('nodes', name);
  }

  ofAgent(name: string): boolean {
    return this.#wasAsked('agents', name);
  }

  /** Whether the network is confirmed. If it is gone, also whether it was not deleted together with its CRD. */
  ofNetwork(name: string): boolean {
    if (!this.#wasAsked('networks', name)) return false;
    if (this.#networks.has(name)) return true;
    const { networksKind: kind, now } = this.#view;
    const { networksCRD = kind?.uid } = this.#index;
    if (kind?.goes === false && kind.uid === networksCRD) return true;
    this.wakeAt = now + kindGoesMs;
    return false;
  }

  #wasAsked(kind: 'nodes' | 'agents' | 'networks', name: string): boolean {
    if (this.#view.asked[kind].has(name)) return true;
    this.#reads[kind].add(name);
    return false;
  }
}

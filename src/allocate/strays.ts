import type { AgentAllocation, LedgerSpace, PinnedConfig } from '../api/types.ts';
import { statedIndexes, touchedIndexes, vtepSpace } from './space.ts';
import type { View } from './view.ts';

/**
 * Blocks that AgentAllocations show and the ledger may not have: of nodes that are gone, and of nodes that changed. If
 * a person took a block out of a page, it is not free as long as an AgentAllocation shows it.
 */
export class Strays {
  readonly #view: Pick<View, 'allocations'>;
  readonly #config: PinnedConfig | undefined;
  /** By node: the AgentAllocation that last agreed with the ledger. */
  readonly #settled: ReadonlyMap<string, { object: AgentAllocation }>;
  readonly #bySpace = new Map<LedgerSpace, ReadonlyMap<number, string>>();
  #loose: AgentAllocation[] | undefined;

  constructor(
    view: Pick<View, 'allocations'>,
    config: PinnedConfig | undefined,
    settled: ReadonlyMap<string, { object: AgentAllocation }>,
  ) {
    this.#view = view;
    this.#config = config;
    this.#settled = settled;
  }

  /** The stray blocks of one space: node by block index. */
  in(space: LedgerSpace): ReadonlyMap<number, string> {
    let known = this.#bySpace.get(space);
    if (known === undefined) {
      const shown = new Map<number, string>();
      for (const { metadata, spec } of this.#objects) {
        const indexes =
          space.cidr === vtepSpace ? statedIndexes(space, spec, this.#config) : touchedIndexes(space, spec);
        for (const at of indexes) shown.set(at, metadata.name);
      }
      known = shown;
      this.#bySpace.set(space, known);
    }
    return known;
  }

  get #objects(): readonly AgentAllocation[] {
    this.#loose ??= [...this.#view.allocations.values()].filter(
      (object) => this.#settled.get(object.metadata.name)?.object !== object,
    );
    return this.#loose;
  }
}

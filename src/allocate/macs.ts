import type { LedgerIndex, LedgerPage, LedgerSpace } from '../api/types.ts';
import { readable } from '../net/address.ts';
import { vtepAt, vtepIndex, vtepWithMAC } from '../net/vtep.ts';
import { remembered } from './remembered.ts';
import type { Reservations } from './reserved.ts';
import { listedPages, vtepSpace } from './space.ts';
import { asOf, type Reads, type View } from './view.ts';

/** MACs of VTEPs that do not follow from their index, by that. */
const macsIn = remembered(
  ({ blocks }: LedgerPage): ReadonlyMap<number, string> =>
    new Map(blocks.flatMap(({ index, mac }) => (mac === undefined ? [] : [[index, mac]]))),
);

/** What MAC each VTEP has, where reservations brought MACs of their own. */
export class MACs {
  readonly #view: View;
  readonly #index: LedgerIndex;
  readonly #reservations: Reservations;
  readonly #reads: Reads;
  #known: ReadonlyMap<string, number> | undefined;

  constructor(input: { view: View; index: LedgerIndex; reservations: Reservations; reads: Reads }) {
    this.#view = input.view;
    this.#index = input.index;
    this.#reservations = input.reservations;
    this.#reads = input.reads;
  }

  /**
   * Whether no other VTEP has the MAC that this one is to have. That of a reservation is looked for in pages that are no
   * older than the reservation: what was written later follows from reservations that include it.
   */
  mayHave(space: LedgerSpace, index: number): boolean {
    const claim = this.#reservations.claims.get(space)?.byIndex.get(index);
    if (claim?.mac === undefined) {
      const { config } = this.#index;
      if (this.#all(space).size === 0 || config === undefined) return true;
      const { mac } = vtepAt(config.vtepSubnets, config.vtepMACOUI, index);
      return (this.#all(space).get(mac) ?? index) === index;
    }
    const { ledger } = this.#view;
    const old = listedPages(ledger, space).filter(({ name }) => asOf(ledger, name) < claim.version);
    for (const { name } of old)
      this.#reads.ledger.set(name, Math.max(claim.version, this.#reads.ledger.get(name) ?? 0));
    return old.length === 0 && (this.#all(space).get(claim.mac) ?? index) === index;
  }

  /** By MAC: the VTEP that has it. */
  #all(space: LedgerSpace): ReadonlyMap<string, number> {
    this.#known ??= new Map(
      listedPages(this.#view.ledger, space).flatMap(({ page }) =>
        [...macsIn(page)].map(([index, mac]): [string, number] => [mac, index]),
      ),
    );
    return this.#known;
  }

  /**
   * The MAC of its own with which a node holds that VTEP: as its AgentAllocation shows it, else as its agent says,
   * where no other agent says the same. A ledger that was lost takes it up from there.
   */
  of(node: string, index: number): string | undefined {
    const { agents, allocations } = this.#view;
    const shown = this.#ownMAC(allocations.get(node)?.spec.vtep, index);
    if (shown !== undefined) return shown;
    const reported = this.#ownMAC(agents.get(node)?.spec.vtep, index);
    if (reported === undefined) return undefined;
    const twice = [...agents, ...allocations].some(
      ([other, { spec }]) => other !== node && spec.vtep?.mac === reported,
    );
    return twice ? undefined : reported;
  }

  #ownMAC(vtep: { ip?: string; ip6?: string; mac: string } | undefined, index: number): string | undefined {
    const { config } = this.#index;
    const address = vtep?.ip ?? vtep?.ip6;
    if (vtep === undefined || address === undefined || config === undefined) return undefined;
    const { vtepSubnets, vtepMACOUI } = config;
    if (readable(() => vtepIndex(vtepSubnets, address)) !== index) return undefined;
    // one that is another VTEP's by rule is not believed
    return vtepWithMAC(vtepSubnets, vtepMACOUI, vtep.mac) === undefined && /^.[02468ace]/.test(vtep.mac)
      ? vtep.mac
      : undefined;
  }
}

/** Whether VTEPs are reserved, or have a MAC of their own: their numbers must stay what they are. */
export const keepsVTEPs = ({ ledger }: Pick<View, 'ledger'>): boolean =>
  [...ledger.pages.values()].some(
    ({ spec: { page } }) =>
      page?.space === vtepSpace &&
      page.blocks.some(({ state, mac }) => state === 'Reserved' || mac !== undefined),
  );

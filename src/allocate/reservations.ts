import type {
  LedgerBlock,
  LedgerIndex,
  LedgerSpace,
  OverlayNetwork,
  OverlayReservation,
} from '../api/types.ts';
import { validateReservation } from '../api/validate.ts';
import { block, formatCidr, parseCidr } from '../net/cidr.ts';
import { vtepAt } from '../net/vtep.ts';
import { byAge } from './order.ts';
import { remembered } from './remembered.ts';
import type { Accepted } from './register.ts';
import { Places, type Place } from './reservedplaces.ts';
import type { Claim, Part, Reservations, ReservationVerdict } from './reserved.ts';
import { inPage, listedPages, vtepSpace } from './space.ts';
import { version, type Refusal, type View } from './view.ts';

/** Reservations that count: they are not being deleted, and have not expired. The older come first. */
export function livingReservations({ reservations, now }: Pick<View, 'reservations' | 'now'>) {
  return [...reservations.values()]
    .filter((one) => one.metadata.deletionTimestamp === undefined && expiry(one) > now)
    .sort((a, b) => byAge(a.metadata, b.metadata));
}

/** In milliseconds since the epoch; Infinity: never. */
const expiry = ({ spec }: OverlayReservation): number => {
  const at = spec.expiresAt === undefined ? Infinity : Date.parse(spec.expiresAt);
  return Number.isNaN(at) ? Infinity : at;
};

/** The reservations of this ledger, by node. Nodes keep what they hold; of two reservations the older one counts. */
export function judgeReservations(
  view: View,
  index: LedgerIndex,
  networks: ReadonlyMap<string, OverlayNetwork>,
  accepted: ReadonlyMap<string, Accepted>,
): Reservations {
  const judgement = new Judgement(view, index, networks, accepted);
  const living = livingReservations(view);
  const verdicts = new Map<string, ReservationVerdict>();
  for (const one of living) verdicts.set(one.metadata.name, judgement.judge(one));
  for (const [name, one] of view.reservations)
    if (!verdicts.has(name)) verdicts.set(name, { expired: true, node: one.status?.node ?? '', parts: [] });
  return {
    claims: judgement.claims,
    verdicts,
    exclusive: living.some(({ spec }) => spec.exclusive === true),
    wakeAt: living.reduce((least, one) => Math.min(least, expiry(one)), Infinity),
  };
}

/** One space as the ledger has it. */
interface Entries {
  at: ReadonlyMap<number, LedgerBlock>;
  /** By node: the index that it holds. */
  heldBy: ReadonlyMap<string, number>;
  /** By MAC of its own. */
  byMAC: ReadonlyMap<string, readonly LedgerBlock[]>;
}

/** The claims on one space so far. */
interface Claimed {
  byIndex: Map<number, Claim>;
  byNode: Map<string, Claim>;
  refused: Map<string, number>;
  byMAC: Map<string, Claim>;
}

const validated = remembered((one: OverlayReservation) => validateReservation(one));

class Judgement {
  readonly claims = new Map<LedgerSpace, Claimed>();
  readonly #view: View;
  readonly #index: LedgerIndex;
  readonly #places: Places;
  readonly #nodes: ReadonlyMap<string, string>;
  readonly #living: ReadonlySet<string | undefined>;
  readonly #entries = new Map<LedgerSpace, Entries>();
  /** Nodes that reservations name: an address binds none of them. */
  readonly #named: ReadonlySet<string | undefined>;
  /** By node: the reservation that it is bound to. */
  readonly #bound = new Map<string, string>();

  constructor(
    view: View,
    index: LedgerIndex,
    networks: ReadonlyMap<string, OverlayNetwork>,
    accepted: ReadonlyMap<string, Accepted>,
  ) {
    this.#view = view;
    const living = livingReservations(view);
    this.#living = new Set(living.map(({ metadata }) => metadata.uid));
    this.#named = new Set(living.map(({ spec }) => spec.nodeName));
    this.#index = index;
    this.#places = new Places(index, networks);
    const isNeeded = [...view.reservations.values()].some(({ spec }) => spec.nodeName === undefined);
    this.#nodes = new Map(
      isNeeded ? [...accepted].flatMap(([node, { addresses }]) => addresses.map((one) => [one, node])) : [],
    );
  }

  judge(reservation: OverlayReservation): ReservationVerdict {
    const { metadata, spec } = reservation;
    const registered = this.#nodes.get(spec.address ?? '');
    const node = spec.nodeName ?? (this.#named.has(registered) ? '' : (registered ?? ''));
    const other = this.#bound.get(node);
    const wrong =
      validated(reservation) ??
      (other === undefined || node === ''
        ? undefined
        : { reason: 'NodeReserved', message: `node ${node} is bound to reservation ${other} already` });
    if (wrong === undefined) this.#bound.set(node, metadata.name);
    const parts = this.#wishes(reservation).map(({ text, place }): Part => {
      if (wrong !== undefined) return { text, state: 'Refused', why: wrong };
      const found = place();
      if ('why' in found) return { text, state: found.refused ? 'Refused' : 'Waiting', why: found.why };
      const { space, ...at } = found;
      const { uid = '', name } = metadata;
      return this.#claim(text, space, { ...at, name, uid, node, version: version(reservation) });
    });
    // one that asks for nothing says why at least
    if (wrong !== undefined && parts.length === 0) parts.push({ text: '', state: 'Refused', why: wrong });
    return { expired: false, node, parts };
  }

  #wishes(reservation: OverlayReservation): { text: string; place: () => Place }[] {
    const { vtep, networks = [] } = reservation.spec;
    const seen = new Set<LedgerSpace>();
    return [
      ...(vtep === undefined
        ? []
        : [{ text: `VTEP ${vtep.ip ?? vtep.ip6 ?? ''}`, place: () => this.#places.vtep(reservation, vtep) }]),
      ...networks.flatMap(({ name, subnets }) =>
        subnets.map((cidr) => ({
          text: `${cidr} of network ${name}`,
          place: () => this.#places.block(reservation, name, cidr, seen),
        })),
      ),
    ];
  }

  #claim(text: string, space: LedgerSpace, claim: Claim): Part {
    const { index, node, uid } = claim;
    const { at, heldBy, byMAC } = this.#entriesOf(space);
    const entry = at.get(index);
    const claims: Claimed = this.claims.get(space) ?? {
      byIndex: new Map(),
      byNode: new Map(),
      refused: new Map(),
      byMAC: new Map(),
    };
    this.claims.set(space, claims);
    const refuse = (reason: string, message: string): Part => ({
      text,
      state: 'Refused',
      why: { reason, message },
    });
    const byLedger = (at: number) => {
      if (node !== '') claims.refused.set(node, at);
    };
    if (entry !== undefined && isHeld(entry)) {
      if (entry.node !== node || entry.mac !== claim.mac) byLedger(index);
      if (node === '' || entry.node !== node) return refuse('Held', `${text} is held by node ${entry.node}`);
      if (entry.mac !== claim.mac)
        return refuse('HeldWithOtherMAC', `node ${node} has ${text} with another MAC`);
      return { text, state: 'Held' };
    }
    const own = heldBy.get(node);
    if (own !== undefined)
      return refuse('NodeHoldsAnother', `${text}: node ${node} holds ${this.#textOf(space, own)} already`);
    const other = claims.byIndex.get(index);
    if (other !== undefined)
      return refuse('Reserved', `${text} is reserved by ${other.name}, which is older`);
    // two that were created in one second have the same age
    if (entry?.state === 'Reserved' && entry.uid !== uid && this.#living.has(entry.uid)) {
      byLedger(index);
      return refuse('Reserved', `${text} is reserved by ${entry.reservation ?? ''}, which is older`);
    }
    const twin = claim.mac === undefined ? undefined : macTaken(claim, claim.mac, byMAC, claims);
    if (twin !== undefined) {
      const { by, ...part } = twin;
      if (by !== undefined) byLedger(by);
      return { text, ...part };
    }
    claims.byIndex.set(index, claim);
    if (node !== '') claims.byNode.set(node, claim);
    if (claim.mac !== undefined) claims.byMAC.set(claim.mac, claim);
    if (entry?.state === 'Reserved' && entry.uid === uid) return { text, state: 'Reserved' };
    const why: Refusal =
      entry === undefined || entry.state === 'Reserved'
        ? { reason: 'Progressing', message: `${text} is about to be reserved` }
        : {
            reason: 'Cooling',
            message: `${text} was node ${entry.node}’s, and is ${entry.state} since ${entry.since}`,
          };
    return { text, state: 'Waiting', why };
  }

  #entriesOf(space: LedgerSpace): Entries {
    const known = this.#entries.get(space);
    if (known !== undefined) return known;
    const at = new Map<number, LedgerBlock>();
    const heldBy = new Map<string, number>();
    const byMAC = new Map<string, LedgerBlock[]>();
    for (const { page, state } of listedPages(this.#view.ledger, space)) {
      if (state !== 'good') continue;
      for (const entry of page.blocks) {
        if (!inPage(page, entry)) continue;
        at.set(entry.index, entry);
        if (isHeld(entry) && !heldBy.has(entry.node)) heldBy.set(entry.node, entry.index);
        if (entry.mac !== undefined) byMAC.set(entry.mac, [...(byMAC.get(entry.mac) ?? []), entry]);
      }
    }
    const entries = { at, heldBy, byMAC };
    this.#entries.set(space, entries);
    return entries;
  }

  #textOf({ cidr, prefix }: LedgerSpace, index: number): string {
    const { config } = this.#index;
    if (cidr !== vtepSpace) return formatCidr(block(parseCidr(cidr), prefix, index));
    const vtep = config && vtepAt(config.vtepSubnets, config.vtepMACOUI, index);
    return vtep?.ip ?? vtep?.ip6 ?? '';
  }
}

/** A quarantined block stays with the node that the ledger names. */
const isHeld = ({ state }: LedgerBlock): boolean => state === 'Held' || state === 'Quarantined';

/** What speaks against the claim's MAC: another VTEP of the ledger has it, or an older reservation. */
function macTaken(
  { index }: Claim,
  mac: string,
  entries: Entries['byMAC'],
  { byMAC }: Claimed,
): (Pick<Part, 'state' | 'why'> & { by?: number }) | undefined {
  const taken = (by: string) => ({ reason: 'MACTaken', message: `${mac} is the MAC of ${by}` });
  const older = byMAC.get(mac);
  if (older !== undefined)
    return { state: 'Refused', why: taken(`reservation ${older.name}, which is older`) };
  const entry = entries.get(mac)?.find((one) => one.index !== index);
  if (entry === undefined) return undefined;
  // a reservation that is gone leaves soon
  const by = entry.index;
  return entry.state === 'Reserved'
    ? { by, state: 'Waiting', why: taken(`reservation ${entry.reservation ?? ''} still`) }
    : { by, state: 'Refused', why: taken(`node ${entry.node}`) };
}

import type { LedgerIndex, LedgerSpace, OverlayNetwork, OverlayReservation, Vtep } from '../api/types.ts';
import { familyOf, readable } from '../net/address.ts';
import { blockIndex, contains, parseCidr, parseInterface, type Cidr } from '../net/cidr.ts';
import { vtepIndex, vtepWithMAC } from '../net/vtep.ts';
import { remembered } from './remembered.ts';
import { vtepSpace } from './space.ts';
import type { Refusal } from './view.ts';

/** A part that names a block of a space, or why it cannot. */
export type Place = { space: LedgerSpace; index: number; mac?: string } | NoPlace;
interface NoPlace {
  why: Refusal;
  refused: boolean;
}
type VTEPPlace = { index: number; mac?: string } | NoPlace;

/** What was found for one reservation, under that configuration. */
const lastVTEP = remembered((_: OverlayReservation): { under: string; place?: VTEPPlace } => ({ under: '' }));
/** There may be thousands of reservations, and each plan judges all of them. */
const blocksOf = remembered(
  ({ spec: { networks = [] } }: OverlayReservation): ReadonlyMap<string, Cidr> =>
    new Map(networks.flatMap(({ subnets }) => subnets.map((text) => [text, parseCidr(text)]))),
);

/** Where what reservations ask for lies, by one index of the ledger. */
export class Places {
  readonly #index: LedgerIndex;
  readonly #networks: ReadonlyMap<string, OverlayNetwork>;
  readonly #vteps: LedgerSpace | undefined;
  /** By network: its spaces that are in force. */
  readonly #spaces = new Map<string, { space: LedgerSpace; cidr: Cidr }[]>();
  readonly #under: string;

  constructor(index: LedgerIndex, networks: ReadonlyMap<string, OverlayNetwork>) {
    this.#index = index;
    this.#networks = networks;
    const spaces = index.spaces.filter(({ retiredAt }) => retiredAt === undefined);
    this.#vteps = spaces.find(({ cidr }) => cidr === vtepSpace);
    for (const space of spaces) {
      if (space.cidr === vtepSpace) continue;
      const own = this.#spaces.get(space.network) ?? [];
      own.push({ space, cidr: parseCidr(space.cidr) });
      this.#spaces.set(space.network, own);
    }
    this.#under = JSON.stringify([index.config?.vtepSubnets, index.config?.vtepMACOUI]);
  }

  vtep(reservation: OverlayReservation, vtep: Vtep): Place {
    const { config } = this.#index;
    if (this.#vteps === undefined || config === undefined)
      return waits('NoConfig', 'no VTEP subnet is in force yet: kubectl describe overlayconfig default');
    const last = lastVTEP(reservation);
    if (last.under !== this.#under || last.place === undefined) {
      last.under = this.#under;
      last.place = vtepPlace(vtep, config.vtepSubnets, config.vtepMACOUI);
    }
    return 'why' in last.place ? last.place : { space: this.#vteps, ...last.place };
  }

  /** @param seen spaces that this reservation has a block of already */
  block(reservation: OverlayReservation, network: string, text: string, seen: Set<LedgerSpace>): Place {
    const cidr = blocksOf(reservation).get(text) ?? parseCidr(text);
    const spaces = this.#spaces.get(network);
    if (spaces === undefined)
      return this.#networks.has(network)
        ? waits(
            'NetworkNotAccepted',
            `network ${network} is not in force: kubectl describe overlaynetwork ${network}`,
          )
        : waits('NoNetwork', `there is no network ${network}`);
    const found = spaces.find((one) => contains(one.cidr, cidr));
    if (found === undefined)
      return refused('OutsideSubnet', `${text} is in no subnet of network ${network} that is in force`);
    const { space } = found;
    const index = blockIndex(found.cidr, space.prefix, cidr);
    if (index === undefined)
      return refused(
        'WrongPrefix',
        `${text} is no block of ${space.cidr}, whose blocks are /${space.prefix}`,
      );
    if (seen.has(space)) return refused('SecondBlock', `${text} is the second block of ${space.cidr}`);
    seen.add(space);
    return { space, index };
  }
}

function vtepPlace({ ip, ip6, mac }: Vtep, vtepSubnets: string[], oui: string): VTEPPlace {
  const where = `spec.vtepSubnets ${vtepSubnets.join(', ')} of OverlayConfig`;
  const indexes = new Set<number>();
  for (const text of [ip, ip6]) {
    if (text === undefined) continue;
    const at = readable(() => vtepIndex(vtepSubnets, text));
    if (at === undefined) return refused('OutsideSubnet', `${text} is no VTEP of ${where}`);
    const subnet = vtepSubnets.map(parseCidr).find(({ family }) => family === familyOf(text));
    if (parseInterface(text).length !== subnet?.length)
      return refused('WrongPrefix', `${text} must have the length of its subnet in ${where}`);
    indexes.add(at);
  }
  const [index = 0, more] = indexes;
  if (more !== undefined)
    return refused(
      'Uneven',
      `${ip ?? ''} is VTEP ${index + 1} of its subnet and ${ip6 ?? ''} VTEP ${more + 1}; a node has one number`,
    );
  const usual = vtepWithMAC(vtepSubnets, oui, mac);
  if (usual !== undefined && usual !== index)
    return refused('OthersMAC', `${mac} is the MAC of VTEP ${usual + 1}, which another node may get`);
  return { index, ...(usual === undefined ? { mac } : {}) };
}

const waits = (reason: string, message: string): NoPlace => ({ why: { reason, message }, refused: false });
const refused = (reason: string, message: string): NoPlace => ({ why: { reason, message }, refused: true });

import { address, arp, ethernet, etherType, icmp6, ipv4, ipv6, linkOption, udp } from './packets.ts';

/** A pod on the bridge, or the bridge itself. */
export interface Party {
  mac: string;
  ip: string;
  ip6: string;
  /** Its link-local address. */
  local: string;
}

export interface Parties {
  /** The sender of all frames. */
  self: Party;
  /** The receiver. */
  victim: Party;
  /** The owner of the sender address that a spoofed frame claims. */
  other: Party;
  gateway: Party;
}

export const everyone = 'ff:ff:ff:ff:ff:ff';
const allNodes = { mac: '33:33:00:00:00:01', ip: 'ff02::1' };
const routers = { mac: '33:33:00:00:00:02', ip: 'ff02::2' };
export const none = '::';
export const pad = (mark: Buffer): Buffer => Buffer.concat([mark, Buffer.alloc(2)]);

/** Puts a message behind other headers, or splits it; `next` is the first header's number. */
export type Wrap = (message: Buffer) => { next: number; payload: Buffer }[];
const bare: Wrap = (payload) => [{ next: 58, payload }];

/** A neighbour discovery message, optionally behind other headers. */
function discovery(
  type: number,
  body: Buffer,
  ends: { from: string; fromMAC: string; to: string; toMAC: string },
  wrap: Wrap = bare,
): Buffer[] {
  return wrap(icmp6(ends, type, body)).map(({ next, payload }) =>
    ethernet(ends.toMAC, ends.fromMAC, etherType.ip6, ipv6(ends, next, payload, 255)),
  );
}

/** Frames as a container sends them. By default, every address is `self`'s. */
export class Speaker {
  readonly #parties: Parties;

  constructor(parties: Parties) {
    this.#parties = parties;
  }

  datagram(mark: Buffer, from: { ip: string; mac?: string }): Buffer {
    const { victim } = this.#parties;
    const six = from.ip.includes(':');
    const ends = { from: from.ip, to: six ? victim.ip6 : victim.ip };
    const datagram = udp(ends, { from: 4000, to: 4001 }, mark);
    return this.frame(
      six ? etherType.ip6 : etherType.ip,
      six ? ipv6(ends, 17, datagram) : ipv4(ends, 17, datagram),
      from.mac,
    );
  }

  frame(type: number, payload: Buffer, from = this.#parties.self.mac, to = this.#parties.victim.mac): Buffer {
    return ethernet(to, from, type, payload);
  }

  arp(
    mark: Buffer,
    operation: 1 | 2,
    sender: { mac: string; ip: string },
    ends: { from?: string; to?: string; ip?: string },
  ): Buffer {
    const { self, victim } = this.#parties;
    const payload = arp(operation, sender, { mac: pad(mark), ip: ends.ip ?? victim.ip });
    return ethernet(ends.to ?? victim.mac, ends.from ?? self.mac, etherType.arp, payload);
  }

  /** Advertises to all nodes. */
  advertise(
    mark: Buffer,
    target: string,
    options: { of?: string; from?: string; fromMAC?: string; wrap?: Wrap } = {},
  ): Buffer[] {
    const { self } = this.#parties;
    const { of = self.mac, from = self.ip6, fromMAC = self.mac, wrap } = options;
    const body = Buffer.concat([mark, address(target), ...(of === '' ? [] : [linkOption(2, of)])]);
    return discovery(136, body, { from, fromMAC, to: allNodes.ip, toMAC: allNodes.mac }, wrap);
  }

  /** Solicits the victim's address. */
  solicit(
    mark: Buffer,
    options: { from?: string; fromMAC?: string; target?: string; extra?: Buffer } = {},
  ): Buffer[] {
    const { self, victim } = this.#parties;
    const {
      from = self.ip6,
      fromMAC = self.mac,
      target = victim.ip6,
      extra = linkOption(1, self.mac),
    } = options;
    const body = Buffer.concat([mark, address(target), extra]);
    return discovery(135, body, { from, fromMAC, to: allNodes.ip, toMAC: allNodes.mac });
  }

  router(type: number, body: Buffer, wrap?: Wrap, from = this.#parties.self.local): Buffer[] {
    const to = type === 133 ? routers : allNodes;
    return discovery(type, body, { from, fromMAC: this.#parties.self.mac, to: to.ip, toMAC: to.mac }, wrap);
  }

  /** Advertises a router for half an hour. */
  routerAdvertisement(mark: Buffer, wrap?: Wrap, from?: string): Buffer[] {
    const body = Buffer.concat([Buffer.from([64, 0, 7, 8]), mark, Buffer.alloc(4)]);
    return this.router(134, Buffer.concat([body, linkOption(1, this.#parties.self.mac)]), wrap, from);
  }
}

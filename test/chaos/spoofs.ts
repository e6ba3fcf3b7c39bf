import {
  address,
  arp,
  ethernet,
  etherType,
  fragmentHeader,
  icmp6,
  ipv4,
  ipv6,
  linkOption,
  mac,
  paddingHeader,
  u16,
  udp,
} from './packets.ts';
import { everyone, none, pad, Speaker, type Parties, type Wrap } from './speaker.ts';

/** A kind of frame to send. Each frame contains `mark`, by which it is counted. */
export interface Spoof {
  what: string;
  frames: (mark: Buffer) => Buffer[];
}

const tag = (type: number): Buffer => Buffer.concat([u16(5), u16(type)]);
const nonce = Buffer.from([14, 1, 1, 2, 3, 4, 5, 6]);

const piece = (next: number, ...parts: Buffer[]) => ({ next, payload: Buffer.concat(parts) });

/** Ways to hide a message behind headers before it. */
const wraps: [string, (mark: Buffer) => Wrap][] = [
  ['behind hop-by-hop options', () => (message) => [piece(0, paddingHeader(58), message)]],
  ['behind destination options', () => (message) => [piece(60, paddingHeader(58), message)]],
  ['as a fragment of its own', () => (message) => [piece(44, fragmentHeader(58, 0, false, 1), message)]],
  [
    'in two fragments',
    () => (message) => [
      piece(44, fragmentHeader(58, 0, true, 2), message.subarray(0, 16)),
      piece(44, fragmentHeader(58, 2, false, 2), message.subarray(16)),
    ],
  ],
  [
    'behind a fragment of options',
    (mark) => () => [piece(44, fragmentHeader(60, 0, true, 3), paddingHeader(58, mark))],
  ],
  [
    'behind a fragment of half of the options',
    (mark) => () => {
      const options = paddingHeader(58, Buffer.concat([mark, Buffer.alloc(24)]));
      return [piece(44, fragmentHeader(60, 0, true, 4), options.subarray(0, 16))];
    },
  ],
];

const one = (what: string, frames: (mark: Buffer) => Buffer | Buffer[]): Spoof => ({
  what,
  frames: (mark) => [frames(mark)].flat(),
});

/** Packets with a sender address or MAC address that is not the container's. */
function addressSpoofs(parties: Parties): Spoof[] {
  const { self, victim, other, gateway } = parties;
  const b = new Speaker(parties);
  return [
    one("another's IPv4 address", (m) => b.datagram(m, { ip: other.ip })),
    one("another's IPv4 address and MAC", (m) => b.datagram(m, { ip: other.ip, mac: other.mac })),
    one("another's MAC", (m) => b.datagram(m, { ip: self.ip, mac: other.mac })),
    one("the gateway's MAC", (m) => b.datagram(m, { ip: self.ip, mac: gateway.mac })),
    one("the gateway's IPv4 address", (m) => b.datagram(m, { ip: gateway.ip })),
    one("the receiver's own IPv4 address", (m) => b.datagram(m, { ip: victim.ip })),
    one('an IPv4 address of nobody', (m) => b.datagram(m, { ip: '9.0.0.99' })),
    one('an address outside of the overlay', (m) => b.datagram(m, { ip: '192.0.2.1' })),
    one('no IPv4 address (DHCP)', (m) => b.datagram(m, { ip: '0.0.0.0' })),
    one("another's IPv6 address", (m) => b.datagram(m, { ip: other.ip6 })),
    one("another's IPv6 address and MAC", (m) => b.datagram(m, { ip: other.ip6, mac: other.mac })),
    one("another's MAC, IPv6", (m) => b.datagram(m, { ip: self.ip6, mac: other.mac })),
    one("another's link-local address", (m) => b.datagram(m, { ip: other.local })),
    one("the gateway's IPv6 address", (m) => b.datagram(m, { ip: gateway.ip6 })),
    one('no IPv6 address', (m) => b.datagram(m, { ip: none })),
  ];
}

/** ARP messages that claim another container's address. */
function arpSpoofs(parties: Parties): Spoof[] {
  const { self, other, gateway } = parties;
  const b = new Speaker(parties);
  return [
    one('gratuitous ARP for another', (m) =>
      b.arp(m, 1, { mac: self.mac, ip: other.ip }, { to: everyone, ip: other.ip }),
    ),
    one('gratuitous ARP for the gateway', (m) =>
      b.arp(m, 1, { mac: self.mac, ip: gateway.ip }, { to: everyone, ip: gateway.ip }),
    ),
    one('ARP reply for another', (m) => b.arp(m, 2, { mac: self.mac, ip: other.ip }, {})),
    one('ARP reply for the gateway', (m) => b.arp(m, 2, { mac: self.mac, ip: gateway.ip }, {})),
    one("ARP reply with another's MAC inside", (m) => b.arp(m, 2, { mac: other.mac, ip: self.ip }, {})),
    one("ARP reply from another's MAC", (m) =>
      b.arp(m, 2, { mac: self.mac, ip: self.ip }, { from: other.mac }),
    ),
    one('ARP request in the name of another', (m) =>
      b.arp(m, 1, { mac: self.mac, ip: other.ip }, { to: everyone }),
    ),
    one('ARP probe for an address', (m) =>
      b.arp(m, 1, { mac: self.mac, ip: '0.0.0.0' }, { to: everyone, ip: other.ip }),
    ),
  ];
}

/** Neighbour discovery messages that claim another container's address. */
function neighbourSpoofs(parties: Parties): Spoof[] {
  const { self, other, gateway } = parties;
  const b = new Speaker(parties);
  return [
    one('neighbour advertisement for another', (m) => b.advertise(m, other.ip6)),
    one('neighbour advertisement for another, from it', (m) =>
      b.advertise(m, other.ip6, { from: other.ip6 }),
    ),
    one('neighbour advertisement for another, without MAC', (m) => b.advertise(m, other.ip6, { of: '' })),
    one('neighbour advertisement for the gateway', (m) => b.advertise(m, gateway.ip6)),
    one("neighbour advertisement with another's MAC inside", (m) =>
      b.advertise(m, self.ip6, { of: other.mac }),
    ),
    one("neighbour advertisement from another's MAC", (m) =>
      b.advertise(m, self.ip6, { fromMAC: other.mac }),
    ),
    one('neighbour solicitation in the name of another', (m) => b.solicit(m, { from: other.ip6 })),
    one("neighbour solicitation with another's MAC inside", (m) =>
      b.solicit(m, { extra: linkOption(1, other.mac) }),
    ),
    one("test for a duplicate of another's address", (m) =>
      b.solicit(m, { from: none, target: other.ip6, extra: Buffer.alloc(0) }),
    ),
    one("test for a duplicate of another's address, with nonce", (m) =>
      b.solicit(m, { from: none, target: other.ip6, extra: nonce }),
    ),
    one("test for a duplicate from another's MAC", (m) =>
      b.solicit(m, { from: none, target: self.ip6, extra: nonce, fromMAC: other.mac }),
    ),
    ...wraps.map(([how, wrap]) =>
      one(`neighbour advertisement for another ${how}`, (m) => b.advertise(m, other.ip6, { wrap: wrap(m) })),
    ),
  ];
}

/** Messages that only a router sends. */
function routerSpoofs(parties: Parties): Spoof[] {
  const { self, other, gateway } = parties;
  const b = new Speaker(parties);
  return [
    one('router advertisement', (m) => b.routerAdvertisement(m)),
    one("router advertisement from the gateway's address", (m) =>
      b.routerAdvertisement(m, undefined, gateway.local),
    ),
    ...wraps.map(([how, wrap]) =>
      one(`router advertisement ${how}`, (m) => b.routerAdvertisement(m, wrap(m))),
    ),
    one("router solicitation with another's MAC inside", (m) =>
      b.router(133, Buffer.concat([m, linkOption(1, other.mac)])),
    ),
    one('redirect', (m) =>
      b.router(137, Buffer.concat([m, address(self.local), address(other.ip6), linkOption(2, self.mac)])),
    ),
    one('query for listeners of multicast', (m) => b.router(130, Buffer.concat([m, address(none)]))),
  ];
}

/** Frames of other protocols, and packets behind a VLAN tag. */
function frameSpoofs(parties: Parties): Spoof[] {
  const { self, victim } = parties;
  const b = new Speaker(parties);
  const own = (mark: Buffer) =>
    ipv4(
      { from: self.ip, to: victim.ip },
      17,
      udp({ from: self.ip, to: victim.ip }, { from: 1, to: 2 }, mark),
    );
  const own6 = (mark: Buffer) =>
    ipv6(
      { from: self.ip6, to: victim.ip6 },
      17,
      udp({ from: self.ip6, to: victim.ip6 }, { from: 1, to: 2 }, mark),
    );
  return [
    one('own IPv4 packet in a VLAN', (m) => b.frame(0x8100, Buffer.concat([tag(etherType.ip), own(m)]))),
    one('own IPv6 packet in a VLAN', (m) => b.frame(0x8100, Buffer.concat([tag(etherType.ip6), own6(m)]))),
    one('own ARP in a VLAN', (m) =>
      b.frame(
        0x8100,
        Buffer.concat([tag(etherType.arp), arp(1, self, { mac: pad(m), ip: victim.ip })]),
        self.mac,
        everyone,
      ),
    ),
    one('two VLAN tags', (m) => b.frame(0x88a8, Buffer.concat([tag(0x8100), tag(etherType.ip), own(m)]))),
    one('priority tag', (m) => b.frame(0x8100, Buffer.concat([u16(0), u16(etherType.ip), own(m)]))),
    one('PPPoE discovery', (m) => b.frame(0x8863, m, self.mac, everyone)),
    one('PPPoE session', (m) => b.frame(0x8864, m)),
    one('802.1X', (m) => b.frame(0x888e, m)),
    one('MPLS', (m) => b.frame(0x8847, m)),
    one('reverse ARP', (m) => b.frame(0x8035, m, self.mac, everyone)),
    one('802.3 with SNAP', (m) =>
      b.frame(30, Buffer.concat([Buffer.from('aaaa030000000800', 'hex'), own(m)]), self.mac, everyone),
    ),
    one('spanning tree', (m) =>
      b.frame(38, Buffer.concat([Buffer.from('424203000000', 'hex'), m]), self.mac, '01:80:c2:00:00:00'),
    ),
  ];
}

/** Returns all kinds of frames that a container must not get through. */
export const spoofs = (parties: Parties): Spoof[] =>
  [addressSpoofs, arpSpoofs, neighbourSpoofs, routerSpoofs, frameSpoofs].flatMap((of) => of(parties));

/** Returns frames that a container normally sends. */
export function honest(parties: Parties): Spoof[] {
  const { self, victim } = parties;
  const b = new Speaker(parties);
  return [
    one('own IPv4 address', (m) => b.datagram(m, { ip: self.ip })),
    one('own IPv6 address', (m) => b.datagram(m, { ip: self.ip6 })),
    one('own link-local address', (m) => b.datagram(m, { ip: self.local })),
    one('ARP request', (m) => b.arp(m, 1, self, { to: everyone })),
    one('ARP reply', (m) => b.arp(m, 2, self, {})),
    one('gratuitous ARP for itself', (m) => b.arp(m, 1, self, { to: everyone, ip: self.ip })),
    one('neighbour solicitation', (m) => b.solicit(m)),
    one('neighbour solicitation without MAC', (m) => b.solicit(m, { extra: Buffer.alloc(0) })),
    one('neighbour advertisement', (m) => b.advertise(m, self.ip6)),
    one('neighbour advertisement without MAC', (m) => b.advertise(m, self.ip6, { of: '' })),
    one('neighbour advertisement for its link-local address', (m) =>
      b.advertise(m, self.local, { from: self.local }),
    ),
    one('test for a duplicate of its address', (m) =>
      b.solicit(m, { from: none, target: self.ip6, extra: Buffer.alloc(0) }),
    ),
    one('test for a duplicate of its address, with nonce', (m) =>
      b.solicit(m, { from: none, target: self.ip6, extra: nonce }),
    ),
    {
      what: 'a large echo request in two fragments',
      frames: (m) => {
        const ends = { from: self.ip6, to: victim.ip6 };
        const message = icmp6(ends, 128, Buffer.concat([m, Buffer.alloc(40)]));
        const part = (offset: number, more: boolean, payload: Buffer) =>
          b.frame(
            etherType.ip6,
            ipv6(ends, 44, Buffer.concat([fragmentHeader(58, offset, more, 9), payload])),
          );
        return [part(0, true, message.subarray(0, 24)), part(3, false, message.subarray(24))];
      },
    },
  ];
}

/**
 * A frame to a group address that bridges do not forward, with another container's MAC address as its source. A bridge
 * that learns from it sends that container's packets to us.
 */
export const controlFrame = ({ self, other }: Parties, group: number): Buffer =>
  ethernet(
    `01:80:c2:00:00:0${group.toString(16)}`,
    other.mac,
    0x88cc,
    Buffer.concat([mac(self.mac), Buffer.alloc(40)]),
  );

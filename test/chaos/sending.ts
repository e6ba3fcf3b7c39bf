import type { Netns } from '../support/netns.ts';
import { ethernet, etherType, fragmentHeader, ipv4, ipv6, paddingHeader, udp, vxlan } from './packets.ts';
import { sendFrames, sendUnprivileged } from './traffic.ts';
import { port, vni, type Wire } from './wire.ts';

/** A way to get a frame into the tunnel, and through it to a pod of the second node. */
export interface Injection {
  what: string;
  /** `payload`: the UDP payload for the tunnel's port. */
  send: (wire: Wire, payload: Buffer, count: number) => Promise<unknown>;
  /** True if the kernel alone stops it. Otherwise it must arrive without our rules, to prove that they stop it. */
  kernel?: boolean;
}

/** A packet as members send it: a datagram for the victim, in a frame, behind the VXLAN header. */
export function tunnelPayload(wire: Wire, mark: Buffer, of = vni): Buffer {
  const ends = { from: '9.0.0.77', to: wire.victim.ip };
  const inner = ipv4(ends, 17, udp(ends, { from: 4000, to: 4001 }, mark));
  return vxlan(of, ethernet('70:b3:d5:80:00:02', '70:b3:d5:80:00:01', etherType.ip, inner));
}

type Socket = { to: string; toPort?: number; from?: string; fromPort?: number; connect?: boolean };

/** Sends with a socket, without privileges. */
export const socket =
  (from: (wire: Wire) => Netns, ends: (wire: Wire) => Socket) =>
  (wire: Wire, payload: Buffer, count: number): Promise<unknown> => {
    const { to, toPort = port, from: source, fromPort, connect = false } = ends(wire);
    const own = source ?? (wire.outer === 4 ? '0.0.0.0' : '::');
    return sendUnprivileged(from(wire), {
      to: at(to, toPort),
      ...(fromPort === undefined && source === undefined ? {} : { from: at(own, fromPort ?? 0) }),
      connect,
      payload,
      count,
    });
  };

const at = (address: string, of: number): string =>
  address.includes(':') ? `[${address}]:${of}` : `${address}:${of}`;

export interface Raw {
  from: string;
  to: string;
  toPort?: number;
  shape?: 'fragments' | 'options';
}

/** Packets of the underlay as they leave a link, with any source. */
export function rawFrames(
  wire: Wire,
  macs: { from: string; to: string },
  payload: Buffer,
  raw: Raw,
): Buffer[] {
  const { from, to, toPort = port, shape } = raw;
  const datagram = udp({ from, to }, { from: 40_000, to: toPort }, payload);
  const whole = (packet: Buffer) =>
    ethernet(macs.to, macs.from, wire.outer === 4 ? etherType.ip : etherType.ip6, packet);
  const [head, tail] = [datagram.subarray(0, 16), datagram.subarray(16)];
  if (wire.outer === 4) {
    const packet = (part: Buffer, options = {}) => whole(ipv4({ from, to }, 17, part, options));
    if (shape === 'fragments') return [packet(head, { fragment: 0x2000 }), packet(tail, { fragment: 2 })];
    return [packet(datagram, shape === 'options' ? { options: Buffer.from('01010101', 'hex') } : {})];
  }
  const packet = (next: number, part: Buffer) => whole(ipv6({ from, to }, next, part));
  if (shape === 'fragments') {
    const part = (offset: number, more: boolean, bytes: Buffer) =>
      packet(44, Buffer.concat([fragmentHeader(17, offset, more, 5), bytes]));
    return [part(0, true, head), part(2, false, tail)];
  }
  return [
    shape === 'options' ? packet(60, Buffer.concat([paddingHeader(17), datagram])) : packet(17, datagram),
  ];
}

const macOf = async (netns: Netns, link: string): Promise<string> => {
  const [found] = JSON.parse(await netns.sh(`ip -j link show ${link}`)) as [{ address: string }];
  return found.address;
};

/** `hop`: the link whose MAC address the frames are sent to. */
export const raw =
  (from: (wire: Wire) => Netns, hop: (wire: Wire) => [Netns, string], ends: (wire: Wire) => Raw, of = vni) =>
  async (wire: Wire, payload: Buffer, count: number): Promise<unknown> => {
    const macs = { from: await macOf(from(wire), 'eth0'), to: await macOf(...hop(wire)) };
    const sent =
      of === vni
        ? payload
        : Buffer.concat([
            payload.subarray(0, 4),
            Buffer.from([0, of >> 8, of & 0xff, 0]),
            payload.subarray(8),
          ]);
    const frames = rawFrames(wire, macs, sent, ends(wire));
    return sendFrames(from(wire), 'eth0', frames, count * frames.length);
  };

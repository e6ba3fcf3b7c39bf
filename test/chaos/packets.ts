/** Packets as bytes on the wire, including forged ones: no field is validated here. */

import { parseAddress } from '../../src/net/address.ts';

export const etherType = { ip: 0x0800, arp: 0x0806, ip6: 0x86dd } as const;

export const mac = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');

/** An address as 4 or 16 bytes. */
export function address(text: string): Buffer {
  const { family, value } = parseAddress(text);
  return Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex');
}

export const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);

/** An Ethernet frame, padded to the minimum length. */
export function ethernet(to: string, from: string, type: number, payload: Buffer): Buffer {
  const frame = Buffer.concat([mac(to), mac(from), u16(type), payload]);
  return frame.length < 60 ? Buffer.concat([frame, Buffer.alloc(60 - frame.length)]) : frame;
}

/** `target`: the target's hardware address. A request leaves it free, so it may hold a mark. */
export const arp = (
  operation: 1 | 2,
  sender: { mac: string; ip: string },
  target: { mac: Buffer; ip: string },
): Buffer =>
  Buffer.concat([
    Buffer.from('000108000604', 'hex'),
    u16(operation),
    ...[mac(sender.mac), address(sender.ip), target.mac, address(target.ip)],
  ]);

/** The ones' complement checksum of the Internet protocols. */
export function checksum(...parts: Buffer[]): number {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

export interface Ends {
  from: string;
  to: string;
}

/** `fragment`: flags and offset as in the header. */
export function ipv4(
  { from, to }: Ends,
  protocol: number,
  payload: Buffer,
  { options = Buffer.alloc(0), fragment = 0, id = 7 } = {},
): Buffer {
  const length = 20 + options.length;
  const header = Buffer.concat([
    Buffer.from([0x40 | (length / 4), 0]),
    ...[u16(length + payload.length), u16(id), u16(fragment), Buffer.from([64, protocol, 0, 0])],
    ...[address(from), address(to), options],
  ]);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

export const ipv6 = ({ from, to }: Ends, next: number, payload: Buffer, hops = 64): Buffer =>
  Buffer.concat([
    Buffer.from('60000000', 'hex'),
    ...[u16(payload.length), Buffer.from([next, hops]), address(from), address(to), payload],
  ]);

/** The pseudo-header of IPv6's upper layer checksums. */
const pseudo = ({ from, to }: Ends, protocol: number, length: number): Buffer =>
  Buffer.concat([address(from), address(to), u16(0), u16(length), u16(0), u16(protocol)]);

export function udp(ends: Ends, ports: { from: number; to: number }, payload: Buffer): Buffer {
  const length = 8 + payload.length;
  const datagram = Buffer.concat([u16(ports.from), u16(ports.to), u16(length), u16(0), payload]);
  // IPv4 needs no UDP checksum
  if (ends.to.includes(':')) {
    datagram.writeUInt16BE(checksum(pseudo(ends, 17, length), datagram) || 0xffff, 6);
  }
  return datagram;
}

export function icmp6(ends: Ends, type: number, body: Buffer): Buffer {
  const message = Buffer.concat([Buffer.from([type, 0, 0, 0]), body]);
  message.writeUInt16BE(checksum(pseudo(ends, 58, message.length), message), 2);
  return message;
}

/** A link-layer address option of neighbour discovery: 1 for the source's, 2 for the target's. */
export const linkOption = (type: 1 | 2, of: string): Buffer =>
  Buffer.concat([Buffer.from([type, 1]), mac(of)]);

/** IPv6's fragment header; `offset` in units of eight bytes. */
export const fragmentHeader = (next: number, offset: number, more: boolean, id: number): Buffer =>
  Buffer.concat([Buffer.from([next, 0]), u16((offset << 3) | (more ? 1 : 0)), u16(0), u16(id)]);

/** A header with padding options (hop-by-hop or destination options): 8 bytes, and more if the mark needs it. */
export function paddingHeader(next: number, mark: Buffer = Buffer.alloc(4)): Buffer {
  const room = Math.ceil((mark.length + 4) / 8) * 8 - 4;
  return Buffer.concat([
    Buffer.from([next, (room + 4) / 8 - 1, 1, room]),
    mark,
    Buffer.alloc(room - mark.length),
  ]);
}

/** A VXLAN packet with a valid VNI. */
export const vxlan = (vni: number, inner: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from('08000000', 'hex'),
    Buffer.from([vni >> 16, (vni >> 8) & 0xff, vni & 0xff, 0]),
    inner,
  ]);

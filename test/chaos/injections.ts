import type { Netns } from '../support/netns.ts';
import { ethernet, etherType, fragmentHeader, ipv4, ipv6, paddingHeader, udp, vxlan } from './packets.ts';
import type { Pod } from './pods.ts';
import { sendFrames, sendUnprivileged } from './traffic.ts';
import {
  nodePort,
  otherLink,
  outsider,
  port,
  registered,
  secondAddress,
  service,
  vni,
  type Wire,
} from './wire.ts';

/** A way to get a frame into the tunnel, and through it to a pod of the second node. */
export interface Injection {
  what: string;
  /** `payload`: for the tunnel's port. */
  send: (wire: Wire, payload: Buffer, count: number) => Promise<unknown>;
  /** It needs nothing of ours to be stopped; else it must get through without our rules, or nothing is proven. */
  kernel?: boolean;
}

/** What members send each other: a datagram for the victim, in a frame, behind the VXLAN header. */
export function tunnelPayload(wire: Wire, mark: Buffer, of = vni): Buffer {
  const ends = { from: '9.0.0.77', to: wire.victim.ip };
  const inner = ipv4(ends, 17, udp(ends, { from: 4000, to: 4001 }, mark));
  return vxlan(of, ethernet('70:b3:d5:80:00:02', '70:b3:d5:80:00:01', etherType.ip, inner));
}

type Socket = { to: string; toPort?: number; from?: string; fromPort?: number; connect?: boolean };

/** By a socket without rights. */
const socket =
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

/** `hop`: whose MAC the frames are for. */
const raw =
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

const node = (index: 0 | 1) => (wire: Wire) => wire.node(index);
const own = (index: 0 | 1 | 2) => (wire: Wire) => registered(index)[wire.outer];
const outside = (wire: Wire) => wire.outside;
const rogue = (wire: Wire) => wire.rogue;
const uplink =
  (index: 0 | 1) =>
  (wire: Wire): [Netns, string] => [wire.node(index), 'eth0'];
const bridgeOf =
  (index: 0 | 1) =>
  (wire: Wire): [Netns, string] => [wire.node(index), 'm-dual'];
const podOf = (index: 0 | 1) => (wire: Wire) => wire.pod(index, 0).netns;
const address = (wire: Wire, pod: Pod) => (wire.outer === 4 ? pod.ip : pod.ip6);
const gateway = (wire: Wire, index: 0 | 1) =>
  wire.outer === 4 ? `9.0.${index}.1` : index === 0 ? 'fd01:b::1' : 'fd01:b::1:0:0:1';
const vtep = (wire: Wire, index: 0 | 1) =>
  wire.outer === 4 ? `44.128.0.${index + 1}` : `fd01:a::${index + 1}`;
const loopback = (wire: Wire) => (wire.outer === 4 ? '127.0.0.1' : '::1');

/** From the pods of a node: of the victim's, and of another. */
const fromPods = (index: 0 | 1): Injection[] => {
  const who = index === 0 ? 'a pod of another node' : 'a pod of the same node';
  const pod = podOf(index);
  return [
    { what: `${who}, to the node`, send: socket(pod, (w) => ({ to: own(1)(w) })) },
    {
      what: `${who}, from the tunnel's own port`,
      send: socket(pod, (w) => ({ to: own(1)(w), fromPort: port })),
    },
    {
      what: `${who}, to another address of the node`,
      send: socket(pod, (w) => ({ to: secondAddress[w.outer] })),
    },
    { what: `${who}, to the node's VTEP address`, send: socket(pod, (w) => ({ to: vtep(w, 1) })) },
    { what: `${who}, to the node's gateway address`, send: socket(pod, (w) => ({ to: gateway(w, 1) })) },
    { what: `${who}, by a Service`, send: socket(pod, (w) => ({ to: service[w.outer], toPort: 53 })) },
    { what: `${who}, by a NodePort`, send: socket(pod, (w) => ({ to: own(index)(w), toPort: nodePort })) },
    ...(['fragments', 'options'] as const).map((shape) => ({
      what: `${who}, with ${shape}`,
      send: raw(pod, bridgeOf(index), (w) => ({ from: address(w, w.pod(index, 0)), to: own(1)(w), shape })),
    })),
    {
      what: `${who}, in the name of a member`,
      send: raw(pod, bridgeOf(index), (w) => ({ from: own(2)(w), to: own(1)(w) })),
    },
    {
      what: `${who}, in the name of a member, to the gateway address`,
      send: raw(pod, bridgeOf(index), (w) => ({ from: own(2)(w), to: gateway(w, 1) })),
    },
  ];
};

const fromLiars: Injection[] = [
  {
    what: 'a container that may lie, in the name of a member',
    send: raw(
      (w) => w.liar.netns,
      bridgeOf(0),
      (w) => ({ from: own(2)(w), to: own(1)(w) }),
    ),
  },
  {
    what: 'a container that may lie, in the name of a member, to the gateway address',
    send: raw(
      (w) => w.liar.netns,
      bridgeOf(0),
      (w) => ({ from: own(2)(w), to: gateway(w, 1) }),
    ),
  },
  {
    what: 'a container of a foreign bridge, masqueraded',
    send: socket(
      (w) => w.stranger,
      (w) => ({ to: own(1)(w) }),
    ),
  },
  {
    what: 'a container of a foreign bridge, masqueraded, to another address of the node',
    send: socket(
      (w) => w.stranger,
      (w) => ({ to: secondAddress[w.outer] }),
    ),
  },
  ...(['to the node', 'to another address of the node'] as const).map((how) => ({
    what: `a container of a foreign bridge, in the name of a member, ${how}`,
    send: raw(
      (w) => w.stranger,
      (w): [Netns, string] => [w.node(0), 'br-other'],
      (w) => ({ from: own(2)(w), to: how === 'to the node' ? own(1)(w) : secondAddress[w.outer] }),
    ),
  })),
];

const fromProcesses: Injection[] = [
  { what: 'a process of another node', send: socket(node(0), (w) => ({ to: own(1)(w) })) },
  {
    what: 'a process of another node, connected',
    send: socket(node(0), (w) => ({ to: own(1)(w), connect: true })),
  },
  {
    what: 'a process of another node, from a port of its choice',
    send: socket(node(0), (w) => ({ to: own(1)(w), from: own(0)(w), fromPort: 4789 })),
  },
  {
    what: 'a process of another node, to another address of the node',
    send: socket(node(0), (w) => ({ to: secondAddress[w.outer] })),
  },
  {
    what: 'a process of another node, by a Service',
    send: socket(node(0), (w) => ({ to: service[w.outer], toPort: 53 })),
  },
  {
    what: 'a process of another node, by a NodePort',
    send: socket(node(0), (w) => ({ to: own(0)(w), toPort: nodePort })),
  },
  { what: 'a process of the node, to itself', send: socket(node(1), (w) => ({ to: own(1)(w) })) },
  { what: 'a process of the node, by loopback', send: socket(node(1), (w) => ({ to: loopback(w) })) },
  {
    what: 'a process of the node, to another address',
    send: socket(node(1), (w) => ({ to: secondAddress[w.outer], from: own(1)(w) })),
  },
  {
    what: 'a process of the node, by a Service',
    send: socket(node(1), (w) => ({ to: service[w.outer], toPort: 53 })),
  },
];

const fromOutside: Injection[] = [
  { what: 'an off-list host', send: socket(outside, (w) => ({ to: own(1)(w) })) },
  {
    what: 'an off-list host, to another address of the node',
    send: socket(outside, (w) => ({ to: secondAddress[w.outer] })),
  },
  {
    what: "an off-list host, by a member's NodePort",
    send: socket(outside, (w) => ({ to: own(0)(w), toPort: nodePort })),
  },
  {
    what: "an off-list host, by the node's NodePort",
    send: socket(outside, (w) => ({ to: own(1)(w), toPort: nodePort })),
  },
  {
    what: 'an off-list host, routed by a member',
    send: raw(outside, uplink(0), (w) => ({ from: outsider[w.outer], to: own(1)(w) })),
  },
  ...(['fragments', 'options'] as const).map((shape) => ({
    what: `an off-list host, with ${shape}`,
    send: raw(outside, uplink(1), (w) => ({ from: outsider[w.outer], to: own(1)(w), shape })),
  })),
  {
    what: 'an off-list host, in the name of the node itself',
    send: raw(outside, uplink(1), (w) => ({ from: own(1)(w), to: own(1)(w) })),
    kernel: true,
  },
  {
    what: 'an off-list host, in the name of loopback',
    send: raw(outside, uplink(1), (w) => ({ from: loopback(w), to: own(1)(w) })),
    kernel: true,
  },
  ...(['to the node', 'to an address of that link', 'by a NodePort', 'with fragments'] as const).map(
    (how) => ({
      what: `another link of the node, in the name of a member, ${how}`,
      send: raw(
        rogue,
        (w): [Netns, string] => [w.node(1), 'eth1'],
        (w) => ({
          from: own(0)(w),
          to: how === 'to an address of that link' ? otherLink[w.outer] : own(1)(w),
          ...(how === 'by a NodePort' ? { toPort: nodePort } : {}),
          ...(how === 'with fragments' ? { shape: 'fragments' as const } : {}),
        }),
      ),
    }),
  ),
  {
    what: 'another link of the node, in the name of the node itself',
    send: raw(
      rogue,
      (w) => [w.node(1), 'eth1'],
      (w) => ({ from: own(1)(w), to: own(1)(w) }),
    ),
    kernel: true,
  },
  {
    what: 'a member, with another VNI',
    send: raw(node(0), uplink(1), (w) => ({ from: own(0)(w), to: own(1)(w) }), vni + 1),
    kernel: true,
  },
];

export const injections: Injection[] = [
  ...fromPods(0),
  ...fromPods(1),
  ...fromLiars,
  ...fromProcesses,
  ...fromOutside,
];

/** What must arrive, so that zero elsewhere means something. */
export const tunnelled: Injection = {
  what: "a member's kernel",
  send: raw(node(0), uplink(1), (w) => ({ from: own(0)(w), to: own(1)(w) })),
};

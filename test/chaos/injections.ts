import type { Netns } from '../support/netns.ts';
import type { Pod } from './pods.ts';
import { raw, socket, type Injection } from './sending.ts';
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

/** Injections from the pods of a node, which is the victim's node or another one. */
const fromPods = (index: 0 | 1): Injection[] => {
  const sender = index === 0 ? 'a pod of another node' : 'a pod of the same node';
  const pod = podOf(index);
  return [
    { what: `${sender}, to the node`, send: socket(pod, (w) => ({ to: own(1)(w) })) },
    {
      what: `${sender}, from the tunnel's own port`,
      send: socket(pod, (w) => ({ to: own(1)(w), fromPort: port })),
    },
    {
      what: `${sender}, to another address of the node`,
      send: socket(pod, (w) => ({ to: secondAddress[w.outer] })),
    },
    { what: `${sender}, to the node's VTEP address`, send: socket(pod, (w) => ({ to: vtep(w, 1) })) },
    { what: `${sender}, to the node's gateway address`, send: socket(pod, (w) => ({ to: gateway(w, 1) })) },
    { what: `${sender}, by a Service`, send: socket(pod, (w) => ({ to: service[w.outer], toPort: 53 })) },
    { what: `${sender}, by a NodePort`, send: socket(pod, (w) => ({ to: own(index)(w), toPort: nodePort })) },
    ...(['fragments', 'options'] as const).map((shape) => ({
      what: `${sender}, with ${shape}`,
      send: raw(pod, bridgeOf(index), (w) => ({ from: address(w, w.pod(index, 0)), to: own(1)(w), shape })),
    })),
    {
      what: `${sender}, in the name of a member`,
      send: raw(pod, bridgeOf(index), (w) => ({ from: own(2)(w), to: own(1)(w) })),
    },
    {
      what: `${sender}, in the name of a member, to the gateway address`,
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

/** Packets that must arrive, so that zero in the other rows means something. */
export const tunnelled: Injection = {
  what: "a member's kernel",
  send: raw(node(0), uplink(1), (w) => ({ from: own(0)(w), to: own(1)(w) })),
};

import type { AllocatedNetwork } from '../api/types.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { formatAddress, type Family } from '../net/address.ts';
import { addressAt, contains, formatCidr, parseCidr, type Cidr } from '../net/cidr.ts';

/** A CNI network configuration list, as text, and the network whose `name` it bears. */
export interface Conflist {
  network: string;
  text: string;
}

interface Range {
  subnet: string;
  gateway: string;
  rangeStart?: string;
  rangeEnd?: string;
}

/** Of each network that has a CNI bridge on this node, by name. */
export function renderConflists(snapshot: Snapshot): Conflist[] {
  const own = snapshot.allocations.find(({ node }) => node === snapshot.node)?.spec.networks ?? [];
  return own.flatMap((allocated) => {
    const network = snapshot.networks.find(({ metadata }) => metadata.name === allocated.name);
    const text = network && renderConflist(network, allocated, snapshot.config.mtu);
    return text === undefined ? [] : [{ network: allocated.name, text }];
  });
}

/** The first of the comma list `defaultNetwork` that this node has. */
export function defaultConflist(
  conflists: readonly Conflist[],
  defaultNetwork: string,
): Conflist | undefined {
  return defaultNetwork
    .split(',')
    .map((name) => conflists.find(({ network }) => network === name.trim()))
    .find((conflist) => conflist !== undefined);
}

/** Whether a conflist is one of ours, of that network: it has the network's name and its bridge. */
export function isConflistOf(text: string, network: string): boolean {
  try {
    const list = JSON.parse(text) as { name?: unknown; plugins?: { bridge?: unknown }[] } | null;
    return list?.name === network && list.plugins?.[0]?.bridge === `m-${network}`;
  } catch {
    return false;
  }
}

/** The `name` in a conflist's text; undefined where it has none. */
export function nameIn(text: string): string | undefined {
  try {
    const name = (JSON.parse(text) as { name?: unknown } | null)?.name;
    return typeof name === 'string' ? name : undefined;
  } catch {
    return undefined;
  }
}

type Network = Snapshot['networks'][number];

/** Undefined where the node has no CNI bridge of that network. */
function renderConflist(network: Network, allocated: AllocatedNetwork, mtu: number): string | undefined {
  const active = network.spec.subnets
    .filter(({ state }) => state === 'Active')
    .map(({ cidr }) => parseCidr(cidr));
  const parts = allocated.subnets.flatMap(({ bridges }) => (bridges?.cni ? [parseCidr(bridges.cni)] : []));
  if (parts.length === 0) return undefined;
  const open = parts.filter((part) => active.some((whole) => contains(whole, part)));
  // A network that drains wholly keeps a conflist, for its containers' DEL: of ranges that have no address to give.
  const ranges = open.length > 0 ? open.map(openRange) : parts.map(closedRange);
  const sets = ([4, 6] as const).map((family) => ranges.filter(({ subnet }) => familyOf(subnet) === family));
  const present = sets.filter((set) => set.length > 0);
  const list = {
    cniVersion: '1.0.0',
    name: allocated.name,
    plugins: [
      {
        type: 'bridge',
        bridge: `m-${allocated.name}`,
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        mtu,
        ipam: {
          type: 'host-local',
          ranges: present,
          routes: present.map(([range]) => ({
            dst: familyOf(range?.subnet ?? '') === 4 ? '0.0.0.0/0' : '::/0',
          })),
        },
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    ],
  };
  return `${JSON.stringify(list, undefined, 2)}\n`;
}

const familyOf = (cidr: string): Family => (cidr.includes(':') ? 6 : 4);

/** The gateway is the bridge's own address: the first usable one. */
const openRange = (part: Cidr): Range => ({
  subnet: formatCidr(part),
  gateway: formatAddress(addressAt(part, 1)),
});

/** host-local never gives the gateway's address to a container. */
function closedRange(part: Cidr): Range {
  const range = openRange(part);
  return { ...range, rangeStart: range.gateway, rangeEnd: range.gateway };
}

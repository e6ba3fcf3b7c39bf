import { selectorText, selects } from '../api/selector.ts';
import { bridges } from '../dataplane/desired.ts';
import { ownAllocation, type Snapshot } from '../dataplane/snapshot.ts';
import { formatAddress, type Family } from '../net/address.ts';
import { contains, formatCidr, gateway, parseCidr, type Cidr } from '../net/cidr.ts';
import { cniBridge, interfaceName, mostNetworks } from '../net/name.ts';
import { refusals, type Ask, type CNIRefusal } from './ask.ts';
import { notAcceptedYet } from '../belief/snapshot.ts';
import { namesIn, requestedNetworks, type Namespace } from './requested.ts';
import { bridgesLabel, networkAnnotation } from '../api/labels.ts';

/** What the agent knows when a container starts. */
export interface Known {
  /** The snapshot that the kernel shows. */
  snapshot: Snapshot;
  /**
   * Networks that are not in force, with the reasons; undefined if unknown, because the API server was away from the
   * start.
   */
  idle: ReadonlyMap<string, string> | undefined;
  /** Networks that never worked on this node, with the reasons. */
  failed: ReadonlyMap<string, string>;
  /** Networks that are being deleted and accept no more containers here, with the reasons; absent if there are none. */
  closing?: ReadonlyMap<string, string>;
}

/** One interface that the plugin should make. */
export interface Joined {
  name: string;
  interface: string;
  bridge: string;
  mtu: number;
  gatewayMAC: string;
  /** One range for each family and active block of this node, IPv4 first. */
  ranges: { subnet: string; gateway: string }[];
  /** Default routes, for the families for which this is the first interface. */
  defaultRoutes: string[];
  /**
   * Routes for the other families: the network's whole subnets, because no default route leads to their blocks on other
   * nodes.
   */
  routes: string[];
}

export type Choice = { networks: Joined[] } | CNIRefusal;

/** Whether the choice depends on the pod's namespace: on its annotation, or on its labels. */
export function needsNamespace({ namespace, network, annotation }: Ask, { snapshot }: Known): boolean {
  if (namespace === undefined) return false;
  const asked = network ?? annotation;
  if (asked === undefined) return true;
  const names = asked.split(',');
  return snapshot.networks.some(
    ({ metadata, spec }) => spec.namespaceSelector !== undefined && names.includes(metadata.name),
  );
}

/**
 * Chooses the networks that a container joins: the conflist's network, else those of the pod's annotation, else those of its
 * namespace's annotation, else `defaultNetwork`. Every network that was asked for must exist. Of the default list, those
 * that do not exist are left out.
 * @param namespace undefined outside Kubernetes, and if `needsNamespace` is false
 */
export function choose(ask: Ask, known: Known, namespace: Namespace | undefined): Choice {
  if (namespace === undefined && needsNamespace(ask, known)) {
    return { code: refusals.tryAgain, msg: `namespace ${ask.namespace ?? ''} is not known` };
  }
  const requested = requestedNetworks(ask, known.snapshot.config.defaultNetwork, namespace);
  // the API server has checked the default's form, except for duplicates
  const names = requested.isDefault
    ? [...new Set(requested.text.split(','))]
    : namesIn(requested.text, requested.source);
  if (!Array.isArray(names)) return names;

  const joined: Joined[] = [];
  const absent: CNIRefusal[] = [];
  const families = new Set<Family>();
  for (const name of names) {
    const found = locate(name, known);
    if ('code' in found) {
      const away = found.code !== refusals.tryAgain;
      if (!requested.isDefault || !away) return { ...found, msg: `${requested.source}: ${found.msg}` };
      absent.push(found);
      continue;
    }
    const { network } = found;
    const selector = network.spec.namespaceSelector;
    if (selector !== undefined && namespace !== undefined && !selects(selector, namespace.labels)) {
      return forbidden(requested.source, name, namespace, selectorText(selector));
    }
    if (joined.length === mostNetworks) return tooMany(requested.source);
    joined.push(join(found, known.snapshot, interfaceName(ask.ifname, joined.length), families));
  }
  if (joined.length > 0) return { networks: joined };
  const why = absent.map(({ msg }) => msg).join('; ');
  return {
    code: refusals.notHere,
    msg: `${requested.source}: none of these networks is available on this node: ${why}`,
    details: `ask for another network by annotation ${networkAnnotation} of the pod or its namespace, or correct defaultNetwork`,
  };
}

/** The refusal of a list that is too long. Only the default list can be: an older CRD may have let it pass. */
const tooMany = (source: string): CNIRefusal => ({
  code: refusals.badRequest,
  msg: `${source}: it has more than ${mostNetworks} networks that this node has; a container has at most ${mostNetworks} interfaces`,
  details: 'name fewer networks in spec.defaultNetwork of OverlayConfig default',
});

type Network = Snapshot['networks'][number];

interface Found {
  network: Network;
  /** The network's active subnets on this node that belong to CNI containers. */
  parts: Cidr[];
}

/** Finds a network, or says why it cannot be joined here. Its rules on namespaces are checked elsewhere. */
function locate(name: string, { snapshot, idle, failed, closing }: Known): Found | CNIRefusal {
  const network = snapshot.networks.find(({ metadata }) => metadata.name === name);
  const problem = failed.get(name);
  // a new network is in force, but not applied yet
  if (network === undefined) {
    return problem === undefined ? notInForce(name, snapshot, idle) : notYet(name, snapshot.node, problem);
  }
  const allocated = ownNetworks(snapshot).find((one) => one.name === name);
  const parts = (allocated?.subnets ?? []).flatMap(({ bridges }) =>
    bridges?.cni === undefined ? [] : [parseCidr(bridges.cni)],
  );
  if (parts.length === 0) {
    return {
      code: refusals.notHere,
      msg: `network ${name} is not on node ${snapshot.node}: ${whyNotHere(network, allocated !== undefined)}`,
      details: `networks for containers of this node: ${listed(namesHere(snapshot))}`,
    };
  }
  if (problem !== undefined) return notYet(name, snapshot.node, problem);
  const end = closing?.get(name);
  if (end !== undefined) {
    const msg = `network ${name} is being deleted, and takes no more containers on node ${snapshot.node}: ${end}`;
    const details = `ask for another: ${listed(namesHere(snapshot).filter((other) => other !== name))}`;
    return { code: refusals.notInForce, msg, details };
  }
  const active = network.spec.subnets
    .filter(({ state }) => state === 'Active')
    .map(({ cidr }) => parseCidr(cidr));
  const open = parts.filter((part) => active.some((whole) => contains(whole, part)));
  if (open.length === 0) {
    const msg = `network ${name} gives no new addresses: its subnets on node ${snapshot.node} are Draining`;
    const details = `set a subnet of it Active (spec.subnets), or ask for another: ${listed(namesHere(snapshot))}`;
    return { code: refusals.notInForce, msg, details };
  }
  return { network, parts: open };
}

const notYet = (name: string, node: string, problem: string): CNIRefusal => ({
  code: refusals.tryAgain,
  msg: `network ${name} does not work on node ${node} yet: ${problem}`,
});

function notInForce(name: string, snapshot: Snapshot, idle: Known['idle']): CNIRefusal {
  const names = listed(snapshot.networks.map(({ metadata }) => metadata.name));
  if (idle === undefined) {
    const msg = `network ${name} is not known, and the API server cannot be asked now; known are: ${names}`;
    return { code: refusals.tryAgain, msg };
  }
  const why = idle.get(name);
  if (why === notAcceptedYet) return notYet(name, snapshot.node, why);
  const details = `networks in force: ${names}`;
  return why === undefined
    ? { code: refusals.unknown, msg: `there is no network ${name}`, details }
    : { code: refusals.notInForce, msg: `network ${name} is not in force: ${why}`, details };
}

function whyNotHere({ metadata, spec }: Network, allocated: boolean): string {
  if (!spec.containerizers.includes('CNI')) return 'it is for Docker containers alone (spec.containerizers)';
  return allocated
    ? `the node has no bridges (label ${bridgesLabel}=false)`
    : `its nodeSelector leaves the node out, or it has no free block: kubectl describe overlaynetwork ${metadata.name}`;
}

const forbidden = (source: string, name: string, namespace: Namespace, rule: string): CNIRefusal => ({
  code: refusals.forbidden,
  msg: `${source}: namespace ${namespace.name} may not use network ${name}, whose namespaceSelector is ${rule}`,
  details: `label the namespace so, or ask for another network by annotation ${networkAnnotation}`,
});

function join({ network, parts }: Found, snapshot: Snapshot, name: string, families: Set<Family>): Joined {
  const own = ownAllocation(snapshot);
  const { mtu } = snapshot.config;
  const bridge = own && bridges(snapshot.node, own, mtu).find((one) => one.network === network.metadata.name);
  const sorted = ([4, 6] as const).flatMap((family) => parts.filter((part) => part.family === family));
  const present = [...new Set(sorted.map(({ family }) => family))];
  const fresh = present.filter((family) => !families.has(family));
  const later = present.filter((family) => families.has(family));
  for (const family of fresh) families.add(family);
  const ranges = sorted.map((part) => ({
    subnet: formatCidr(part),
    gateway: formatAddress(gateway(part)),
  }));
  const wholes = network.spec.subnets.map(({ cidr }) => parseCidr(cidr));
  return {
    name: network.metadata.name,
    interface: name,
    bridge: cniBridge(network.metadata.name),
    mtu,
    gatewayMAC: bridge?.mac ?? '',
    ranges,
    defaultRoutes: fresh.map((family) => (family === 4 ? '0.0.0.0/0' : '::/0')),
    // if one block is the whole subnet, the interface already has a route to it
    routes: later.flatMap((family) =>
      wholes
        .filter((whole) => whole.family === family)
        .map(formatCidr)
        .filter((cidr) => !ranges.some(({ subnet }) => subnet === cidr)),
    ),
  };
}

const ownNetworks = (snapshot: Snapshot) => ownAllocation(snapshot)?.networks ?? [];

/** Networks in force that have a CNI bridge on this node. */
export const namesHere = (snapshot: Snapshot): string[] =>
  ownNetworks(snapshot)
    .filter(({ subnets }) => subnets.some(({ bridges }) => bridges?.cni !== undefined))
    .map(({ name }) => name)
    .filter((name) => snapshot.networks.some(({ metadata }) => metadata.name === name));

const listed = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));

/** What an overlay network's name looks like. A bridge's name has at most 15 characters, two of which are its prefix. */
export const namePattern = /^[a-z0-9]([-a-z0-9]{0,11}[a-z0-9])?$/;

/** The same in words, for messages. */
export const nameRule = 'lower case letters, digits and "-", at most 13 characters';

export const isName = (text: string): boolean => namePattern.test(text);

/** Docker has networks of these names, or gives them a meaning. */
export const reservedNames: ReadonlySet<string> = new Set(['host', 'bridge', 'default', 'none']);

/** Prefixes of overlaynet's links on a node; no other program's link may have them. */
export const linkPrefix = {
  /** The bridge of a network's CNI containers. */
  cni: 'm-',
  /** The bridge of its Docker containers. */
  docker: 'd-',
  /** The node's end of a CNI container's interface. */
  port: 'c-',
  /** The port that sends the packet of `kubectl overlay trace --send`; it exists for a second or two. */
  probe: 't-',
  tunnel: 'vtep',
} as const;

export const cniBridge = (network: string): string => linkPrefix.cni + network;

export const dockerBridge = (network: string): string => linkPrefix.docker + network;

export const tunnelName = (vni: number): string => `${linkPrefix.tunnel}${vni}`;

/** Both kinds of bridges, as nftables and people match them. */
export const bridgeWildcards: readonly string[] = [`${linkPrefix.cni}*`, `${linkPrefix.docker}*`];

/** The CNI plugin derives the rest from the container's ID and the interface's name. */
export const portPattern = new RegExp(`^${linkPrefix.port}[0-9a-f]{12}$`);

/** The CNI plugin makes and removes them. */
export const probePattern = new RegExp(`^${linkPrefix.probe}[0-9a-f]{8}$`);

/** The most networks that a container can join: each is one interface, from eth0 to eth15. */
export const mostNetworks = 16;

/**
 * The name of a container's interface by its network's place, from 0. The runtime chooses the first; the others count
 * from eth1 and leave that one out.
 */
export function interfaceName(first: string, place: number): string {
  if (place === 0) return first;
  const others = Array.from({ length: place + 1 }, (_, index) => `eth${index + 1}`);
  return others.filter((name) => name !== first)[place - 1] ?? first;
}

/** What the name of a Kubernetes object looks like, such as a Node's or a pod's: a DNS subdomain. */
export const objectNamePattern = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;

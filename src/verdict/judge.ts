import type { Judgement, Verdict } from '../rows/probe.ts';
import type { Family } from '../net/address.ts';
import type { Fault } from './faults.ts';
import type { Found } from './found.ts';
import { overhead, type Path } from './paths.ts';
import { ofSilence, openSilence, type LastHeard, type Signs } from './silence.ts';
import type { FaultKind } from './wire.ts';

/** The results of the packets on one path. */
export interface PathResult extends Pick<Path, 'code' | 'layer' | 'family' | 'size' | 'bytes'> {
  /** 0 if the node has no address to send from. */
  sent: number;
  answered: number;
  /** Whether the peer reports that a packet has arrived. */
  arrived: boolean;
  /** Whether the peer answered through the tunnel to a request that came by the underlay. */
  crossed: boolean;
  /** Whether the peer's kernel refused the packet because no process listens: both directions work. */
  refused: boolean;
  /** Whether this kernel refused the packet because of its size. */
  tooBig: boolean;
  /** Round-trip times in ms of the answered packets. */
  rtts: number[];
}

/** Everything that one check of a peer has found. */
export interface Facts {
  node: string;
  peer: string;
  /** The two nodes' addresses on the underlay, as the tunnel uses them. */
  from: string;
  to: string;
  results: PathResult[];
  /** Whether a packet sent after the last lost one was answered: then the peer's agent ran all the time. */
  isFresh: boolean;
  lastHeard: LastHeard;
  /** Increase of each node's count of wrong UDP checksums during the check; undefined if not known. */
  checksums: { here: number | undefined; there: number | undefined };
  /** Faults that two reads of this kernel found; undefined if none was found and a part could not be read. */
  faults: Fault[] | undefined;
  /** Faults that the peer finds in its own kernel; undefined if it did not report in time. */
  theirs: readonly FaultKind[] | undefined;
  /** Path MTU to the peer on the underlay, as this kernel knows it: the link's, or one that a router has reported. */
  pathMTU: number | undefined;
  /** Gathered only if no probe was answered; the kernel's also if answers through the tunnel were slow. */
  signs: Signs;
  /** State of the peer's entry in the underlay's neighbour table: `FAILED`. */
  neighbour: string | undefined;
  tunnel: { link: string; port: number; mtu: number; outer: Family };
  /** UDP port of the probes. */
  port: number;
  slowMs: number;
}

/** Returns the verdict on a peer; undefined if nothing that was tried is wrong. */
export function judge(facts: Facts): Judgement | undefined {
  const found =
    ofFaults(facts) ??
    ofSilence(facts) ??
    ofTheirs(facts) ??
    ofOverlay(facts) ??
    ofSize(facts) ??
    ofTime(facts);
  return found && { verdict: found.verdict, evidence: found.evidence, remedy: remedyOf(found, facts) };
}

const passes = ({ answered, refused }: PathResult): boolean => answered > 0 || refused;
const isSmallOverlay = ({ layer, size }: PathResult): boolean => layer === 'overlay' && size === 'small';
const lost = (result: PathResult): boolean => result.sent > 0 && !passes(result);

const ofKind: Record<FaultKind, Verdict> = {
  RouteMissing: 'RouteMissing',
  MACMismatch: 'MACMismatch',
  NotAMember: 'NotAMember',
  TunnelDown: 'RouteMissing',
};

/** A fault in this node's kernel explains any loss, and counts even without a loss. */
function ofFaults({ faults = [], node }: Facts): Found | undefined {
  const [first] = faults;
  if (first === undefined) return undefined;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  return { verdict: ofKind[first.kind], evidence: `on ${node} ${first.evidence}${more}`, at: 'here' };
}

const theirWords: Record<FaultKind, [verdict: Verdict, words: string]> = {
  NotAMember: ['NotAMember', 'this node is not among its members: it drops the tunnel packets of this node'],
  MACMismatch: ['MACMismatch', 'its neighbour or forwarding entry of this node is wrong'],
  RouteMissing: ['RouteMissing', 'a route to this node is missing or wrong there'],
  TunnelDown: ['PeerDown', "its tunnel's link is down or missing"],
};

function ofTheirs({ theirs = [], peer }: Facts): Found | undefined {
  const [kind] = theirs;
  if (kind === undefined) return undefined;
  const [verdict, words] = theirWords[kind];
  return { verdict, evidence: `${peer} says: ${words}`, at: 'there' };
}

/** Judges small packets that are lost in the tunnel, though the underlay carries them. */
function ofOverlay(facts: Facts): Found | undefined {
  const small = facts.results.find((one) => isSmallOverlay(one) && lost(one));
  if (small === undefined) return undefined;
  const { node, peer, tunnel } = facts;
  const what = throughTunnel(small);
  if (!facts.isFresh) return undefined;
  const corrupt = ofChecksums(facts, small);
  if (corrupt !== undefined) return corrupt;
  // seen from outside, a wrong entry looks like a firewall
  if (unreadOf(facts) !== undefined) return undefined;
  if (small.arrived)
    return {
      verdict: 'OneWay',
      evidence: `${what} come from ${node} to ${peer}, and not from ${peer} to ${node}`,
    };
  if (small.crossed)
    return {
      verdict: 'OneWay',
      evidence: `${what} come from ${peer} to ${node}, and not from ${node} to ${peer}`,
    };
  return {
    verdict: 'PortBlocked',
    evidence: `${what} (UDP port ${tunnel.port}) do not arrive in either direction, and the underlay carries others`,
  };
}

const throughTunnel = ({ family }: PathResult): string => `packets of IPv${family} through the tunnel`;

/** Returns the node whose kernel could not be read. */
const unreadOf = ({ faults, theirs, node, peer }: Facts): string | undefined =>
  faults === undefined ? node : theirs === undefined ? peer : undefined;

/** Returns why there is no verdict although tunnel packets are lost; undefined if none is lost, or if there is a verdict. */
export function undecided(facts: Facts): string | undefined {
  if (judge(facts) !== undefined) return undefined;
  const silence = openSilence(facts);
  if (silence !== undefined) return silence;
  const lostPaths = facts.results.filter((one) => one.layer === 'overlay' && lost(one));
  if (lostPaths.length > 0 && !facts.isFresh)
    return `packets to ${facts.peer} are lost, and none that was sent after them was answered: probe again`;
  const small = lostPaths.find(isSmallOverlay);
  const unread = unreadOf(facts);
  if (small === undefined || unread === undefined) return undefined;
  return `${throughTunnel(small)} are lost, and what the kernel of ${unread} shows changed meanwhile or was not read in time, so the cause is unknown: probe again`;
}

/** Judges by the receiver's count of wrong checksums: it must be at least the number of missing packets. */
function ofChecksums(facts: Facts, result: PathResult): Found | undefined {
  const { checksums } = facts;
  const counted = result.arrived ? checksums.here : checksums.there;
  if (counted === undefined || counted < result.sent) return undefined;
  return result.arrived
    ? { verdict: 'ChecksumOffload', evidence: wrongHere(facts), at: 'there' }
    : {
        verdict: 'ChecksumOffload',
        evidence: `${facts.peer} counts wrong UDP checksums (InCsumErrors) while packets of ${facts.node} are missing`,
        at: 'here',
      };
}

const wrongHere = ({ node, peer }: Facts): string =>
  `${node} counts wrong UDP checksums (InCsumErrors) while packets of ${peer} are missing`;

/** Judges full-size packets that do not pass the tunnel, or pass only in fragments, although small ones pass. */
function ofSize(facts: Facts): Found | undefined {
  const { results, pathMTU, tunnel, to } = facts;
  const needed = tunnel.mtu + overhead(tunnel.outer);
  if (pathMTU !== undefined && pathMTU < needed)
    return {
      verdict: 'MTUTooLarge',
      evidence: `the way to ${to} takes ${pathMTU} bytes, and a packet of the tunnel has up to ${needed}`,
    };
  const small = results.filter((one) => isSmallOverlay(one) && passes(one)).map(({ family }) => family);
  const full = results.find(
    (one) => one.layer === 'overlay' && one.size === 'full' && lost(one) && small.includes(one.family),
  );
  if (full === undefined || !facts.isFresh) return undefined;
  const corrupt = ofChecksums(facts, full);
  if (corrupt !== undefined) return corrupt;
  const under = results.find(
    (one) => one.layer === 'underlay' && one.size === 'full' && one.family === tunnel.outer,
  );
  const too =
    under !== undefined && (lost(under) || under.tooBig)
      ? `, nor does the underlay carry one of ${under.bytes}`
      : '';
  return {
    verdict: 'MTUTooLarge',
    evidence: `the tunnel carries IPv${full.family} packets of ${smallest(results)} bytes, and none of ${full.bytes}${too}`,
  };
}

const smallest = (results: readonly PathResult[]): number => Math.min(...results.map(({ bytes }) => bytes));

/** Returns the first path through the tunnel whose fastest answer to a small packet took too long. */
export const slowOf = (results: readonly PathResult[], slowMs: number): PathResult | undefined =>
  results.find((one) => isSmallOverlay(one) && one.rtts.length > 0 && Math.min(...one.rtts) > slowMs);

function ofTime({ results, slowMs, signs }: Facts): Found | undefined {
  const slow = slowOf(results, slowMs);
  // if the peer's kernel answers in time, its agent is slow and the path is not
  if (slow === undefined || (signs.kernel.overlay ?? Infinity) <= slowMs) return undefined;
  return {
    verdict: 'Slow',
    evidence: `the fastest answer through the tunnel (IPv${slow.family}) took more than ${slowMs} ms`,
  };
}

function remedyOf({ verdict, at }: Found, facts: Facts): string {
  const { node, peer, from, to, tunnel, pathMTU } = facts;
  const where = at === 'there' ? peer : node;
  const between = `UDP port ${tunnel.port} between ${from} (${node}) and ${to} (${peer})`;
  const mends = `the agent of ${where} mends this within a minute; where it stays, another program writes there: kubectl overlay why node ${where}`;
  const fits = pathMTU === undefined ? tunnel.mtu : Math.min(tunnel.mtu, pathMTU - overhead(tunnel.outer));
  const remedies: Record<Verdict, string> = {
    PortBlocked: `open ${between}, in both directions: firewalls of both nodes and of the network between them`,
    OneWay: `find what drops ${between} in that one direction: firewalls, security groups, asymmetric routes, source checks`,
    MTUTooLarge:
      fits >= tunnel.mtu
        ? `make every link between the nodes carry ${tunnel.mtu + overhead(tunnel.outer)} bytes, or lower spec.mtu of OverlayConfig below ${tunnel.mtu}`
        : `make every link between the nodes carry ${tunnel.mtu + overhead(tunnel.outer)} bytes, or: kubectl patch overlayconfig default --type=merge -p '{"spec":{"mtu":${fits}}}'`,
    ChecksumOffload: `switch checksum offload off on ${where} and look again: ethtool -K ${tunnel.link} tx off (and of its uplink); where that helps, update kernel or driver`,
    MACMismatch: mends,
    RouteMissing: mends,
    NotAMember: mends,
    PeerDown: `is ${peer} up? kubectl get node ${peer}; then its links: ip link, and its agent: kubectl overlay why node ${peer}`,
    Slow: `look for load, loss and long ways between ${from} and ${to}; where the distance explains it, raise spec.probes.slowAfter of OverlayConfig`,
  };
  return remedies[verdict];
}

/** Faults of the way between two nodes; `judge` of src/verdict decides. */
export const verdicts = [
  'PortBlocked',
  'MTUTooLarge',
  'ChecksumOffload',
  'MACMismatch',
  'RouteMissing',
  'NotAMember',
  'PeerDown',
  'OneWay',
  'Slow',
] as const;
export type Verdict = (typeof verdicts)[number];

/** A verdict, its evidence and the remedy. */
export interface Judgement {
  verdict: Verdict;
  evidence: string;
  remedy: string;
}

/** The paths at which an agent reports how it reaches other nodes, and at which it is asked to probe some. */
export const agentPeersPath = '/overlay-agent/peers';
export const agentProbePath = '/overlay-agent/probe';
/** The path at which an operator passes such a request to an agent. */
export const probePath = '/api/v1/probe';

/** How one node reaches another. */
export interface PeerRow {
  /** The node that reports it. */
  node: string;
  peer: string;
  /**
   * `OK`: packets of every kind are answered; `Wrong`: there is a verdict; `Unknown`: the probes gave no clear result;
   * `Unprobed`: not probed yet.
   */
  is: 'OK' | 'Wrong' | 'Unknown' | 'Unprobed';
  verdict?: Verdict;
  /** The evidence for the verdict; for `Unknown` the reason why no verdict was reached. Empty if all packets are answered. */
  evidence: string;
  /** What to do; empty without a verdict. */
  remedy: string;
  /** Time of the last probe; empty if there was none. */
  at: string;
  /** When this state began; empty without a probe. */
  since: string;
  /** Round trip of the fastest answer, in ms. */
  underlayMs?: number;
  overlayMs?: number;
}

/** An agent's answer at `agentPeersPath` and `agentProbePath`. */
export interface NodePeers {
  node: string;
  version: string;
  peers: Omit<PeerRow, 'node'>[];
  /** A phrase for each reason why the node cannot probe or answer. */
  problems: string[];
}

/** Maximum number of peers in one request. */
export const mostProbed = 32;

/** Returns the node in the body of a request to an operator, whose agent is to probe. */
export function nodeIn(body: string): string | undefined {
  try {
    const { node } = (JSON.parse(body) ?? {}) as { node?: unknown };
    return typeof node === 'string' && node.length >= 1 && node.length <= 253 ? node : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the peers' names in the body of a probe request, or a message about what is wrong with it. */
export function probeRequest(body: string): string[] | string {
  const rule = `must be {"peers": ["NODE", …]} with 1 to ${mostProbed} names of Nodes`;
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return `the body is not JSON; it ${rule}`;
  }
  const peers = (value as { peers?: unknown } | null)?.peers;
  const isList = Array.isArray(peers) && peers.length >= 1 && peers.length <= mostProbed;
  return isList && peers.every((one): one is string => typeof one === 'string' && one.length <= 253)
    ? peers
    : `the body ${rule}`;
}

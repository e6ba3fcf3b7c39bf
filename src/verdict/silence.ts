import type { Found } from './found.ts';
import type { Facts, PathResult } from './judge.ts';

/**
 * Signs of life of a peer that answered no probe. Its kernel and its agent are asked separately: an agent that is busy,
 * hangs or is being replaced does not mean that the network loses packets.
 */
export interface Signs {
  /** Time in ms until the kernel refused a closed UDP port by ICMP, the fastest of some; undefined if none came or was tried. */
  kernel: { underlay: number | undefined; overlay: number | undefined };
  /** State of the agent's TCP port. `Hangs`: the connection opens, but TLS does not complete in time. */
  agent: 'Answers' | 'Hangs' | 'Refuses' | 'Silent' | undefined;
}

/** When requests of the peer arrived during the check. `lately`: while the last packets were sent. */
export type LastHeard = 'lately' | 'before' | 'no';

/** Whether the peer neither answered nor refused any packet. */
export const isSilent = ({ results }: { results: readonly PathResult[] }): boolean => {
  const sent = results.filter((one) => one.sent > 0);
  return sent.length > 0 && sent.every(({ answered, refused }) => answered === 0 && !refused);
};

/** Returns the verdict on a peer that answers on no path. */
export function ofSilence(facts: Facts): Found | undefined {
  const { results, lastHeard, checksums, signs, node, peer, to, tunnel, port, neighbour } = facts;
  if (!isSilent(facts) || signs.kernel.overlay !== undefined) return undefined;
  if (lastHeard === 'lately')
    return {
      verdict: 'OneWay',
      evidence: `${peer}'s packets come to ${node}, and no packet to ${peer} is answered`,
    };
  if (checksums.here !== undefined && checksums.here >= results.filter((one) => one.sent > 0).length)
    return {
      verdict: 'ChecksumOffload',
      evidence: `${node} counts wrong UDP checksums (InCsumErrors) while packets of ${peer} are missing`,
      at: 'there',
    };
  if (signs.kernel.underlay !== undefined || lastHeard === 'before') return undefined;
  if (signs.agent === 'Answers')
    return {
      verdict: 'PortBlocked',
      evidence: `the agent at ${to} answers on TCP port ${port}, and nothing answers on the UDP ports ${tunnel.port} and ${port}`,
    };
  if (signs.agent !== 'Silent') return undefined;
  const note =
    neighbour === 'FAILED' || neighbour === 'INCOMPLETE' ? `; its neighbour entry is ${neighbour}` : '';
  return { verdict: 'PeerDown', evidence: `${to} answers on no path, neither UDP nor TCP${note}` };
}

/** Returns why the silence of a peer gives no verdict; undefined if the peer is not silent. */
export function openSilence(facts: Facts): string | undefined {
  const { peer, port, signs, lastHeard, results } = facts;
  if (results.some(({ answered }) => answered > 0)) return undefined;
  if (results.some(({ refused }) => refused))
    return `packets come to ${peer}, and nothing answers there on UDP port ${port}: its agent does not run, is older than this one, or a firewall refuses the port`;
  if (!isSilent(facts)) return undefined;
  if (signs.kernel.overlay !== undefined)
    return `the kernel of ${peer} answers through the tunnel, and its agent does not: it is busy or hangs`;
  if (signs.kernel.underlay !== undefined)
    return `the kernel of ${peer} answers UDP, and its agent does not: it is busy, does not know this node yet, or UDP port ${port} is blocked`;
  if (lastHeard === 'before') return `${peer} was heard, and then was silent: probe again`;
  if (signs.agent === 'Hangs')
    return `the agent of ${peer} takes connections, and does not answer: it is busy or hangs`;
  return `the agent of ${peer} does not run: TCP port ${port} refuses connections`;
}

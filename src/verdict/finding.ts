import type { Finding } from '../api/conditions.ts';
import { verdicts, type PeerRow } from '../rows/probe.ts';

type Probed = Pick<PeerRow, 'peer' | 'is' | 'verdict' | 'evidence' | 'remedy'>;

/** Number of peers that a message names besides the first. */
const mostNamed = 5;

/**
 * Returns the condition `DataPathProbed`; undefined before any peer was probed. Its text stays the same as long as the
 * verdicts do, so that it is not written again.
 */
export function findingOf(peers: readonly Probed[]): Finding | undefined {
  const type = 'DataPathProbed';
  const wrong = peers
    .flatMap((one) => (one.verdict === undefined ? [] : [{ ...one, verdict: one.verdict }]))
    .sort((a, b) => verdicts.indexOf(a.verdict) - verdicts.indexOf(b.verdict) || (a.peer < b.peer ? -1 : 1));
  const [first, ...others] = wrong;
  if (first === undefined) {
    const probed = peers.filter(({ is }) => is !== 'Unprobed');
    if (probed.length === 0) return undefined;
    return probed.some(({ is }) => is === 'OK')
      ? {
          type,
          status: 'True',
          reason: 'Passes',
          message: 'packets pass to and from every peer that answered probes',
        }
      : {
          type,
          status: 'Unknown',
          reason: 'NoAnswer',
          message: `no peer answers probes; ${probed[0]?.evidence ?? ''}`,
        };
  }
  const named = others.slice(0, mostNamed).map(({ peer, verdict }) => `${peer} ${verdict}`);
  const omitted = others.length - named.length;
  const more = [...named, ...(omitted > 0 ? [`${omitted} more`] : [])].join(', ');
  return {
    type,
    status: 'False',
    reason: first.verdict,
    message: `${first.peer}: ${first.evidence}; ${first.remedy}${more === '' ? '' : ` (also: ${more})`}`,
  };
}

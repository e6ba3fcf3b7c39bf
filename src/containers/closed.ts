import type { OverlayNetwork } from '../api/types.ts';
import type { Failure } from '../dataplane/state.ts';

/**
 * Networks that accept no new containers, with the reasons, by the failures of the last pass. A network that worked
 * before stays open, as far as it works. An isolated network is closed while a rule or set is missing, because its
 * new containers could reach what they must not.
 * @param worked networks that had their conflist before
 */
export function closedNetworks(
  networks: readonly Pick<OverlayNetwork, 'metadata' | 'spec'>[],
  failures: readonly Failure[],
  worked: ReadonlySet<string>,
): Map<string, string> {
  const closed = new Map<string, string>();
  for (const { network, message, rules, leftover } of failures) {
    if (leftover === true) continue;
    for (const { metadata, spec } of networks) {
      const { name } = metadata;
      if (network !== undefined && network !== name) continue;
      const unguarded = rules === true && spec.isolation?.mode === 'Isolated';
      if ((unguarded || !worked.has(name)) && !closed.has(name)) closed.set(name, message);
    }
  }
  return closed;
}

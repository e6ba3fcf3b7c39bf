import type { OverlayNetwork } from '../api/types.ts';
import type { Failure } from '../dataplane/state.ts';

/**
 * Networks that take no new containers, and why: by the failures of the last pass. A network that worked before keeps
 * working as far as it does. An isolated one is closed wherever a rule or set is not in place: what joined it would
 * reach what it must not.
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

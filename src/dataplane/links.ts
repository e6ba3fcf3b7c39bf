import type { Change } from './change.ts';
import { portPattern, probePattern } from '../net/name.ts';
import { diffPorts } from './ports.ts';
import type { Desired, Failure, Link, ObservedLink, Vxlan } from './state.ts';

export interface LinkDiff {
  changes: Change[];
  /** Changes for the end of the run. */
  stale: Change[];
  /** The tunnel's link is ours, or will be. */
  usable: boolean;
  /** Links that are removed first; the objects on them go with them. */
  removed: Set<string>;
  /** The tunnel's link is about to be created. */
  fresh: boolean;
}

export function diffLinks(
  desired: Desired,
  observed: Map<string, ObservedLink>,
  failures: Failure[],
): LinkDiff {
  const result: LinkDiff = { changes: [], stale: [], usable: false, removed: new Set(), fresh: false };
  // removed before anything is made, because a stale tunnel may hold the VNI or the port that the new one needs
  for (const { name, ours, kind } of observed.values()) {
    if (!ours || desired.links.has(name)) continue;
    // ports are removed only when everything else is
    if (desired.tunnel !== undefined && (portPattern.test(name) || probePattern.test(name))) continue;
    (kind === 'vxlan' ? result.changes : result.stale).push({ kind: 'deleteLink', name });
    if (kind === 'vxlan') result.removed.add(name);
  }
  for (const link of desired.links.values()) {
    const seen = observed.get(link.name);
    const about = link.network === undefined ? {} : { network: link.network };
    if (seen !== undefined && !seen.ours) {
      const message = `a link named ${link.name} (${seen.kind}) exists already and is not overlaynet's; it is left as it is`;
      failures.push({ ...about, message });
      continue;
    }
    const stands = seen !== undefined && sameMake(link, seen);
    if (seen !== undefined && !stands) {
      result.changes.push({ ...about, kind: 'deleteLink', name: link.name });
      result.removed.add(link.name);
    }
    result.changes.push(
      ...[
        ...diffLink(link, stands ? seen : undefined, desired.kernelIPv6 ?? true),
        ...diffPorts(link.name, !stands, desired.ports, observed),
      ].map((change) => ({ ...about, ...change })),
    );
    for (const address of stands ? seen.addresses : []) {
      if (!link.addresses.includes(address)) {
        result.stale.push({ ...about, kind: 'deleteAddress', link: link.name, address });
      }
    }
    if (link.name === desired.tunnel) {
      result.usable = true;
      result.fresh = !stands;
    }
  }
  return result;
}

/** Whether the properties are right that cannot be changed after creation. */
function sameMake(link: Link, seen: ObservedLink): boolean {
  if (link.kind !== seen.kind) return false;
  if (link.vxlan === undefined) return true;
  const fields: (keyof Vxlan)[] = ['vni', 'port', 'local', 'learning'];
  return link.mac === seen.mac && fields.every((field) => link.vxlan?.[field] === seen.vxlan?.[field]);
}

function diffLink(link: Link, seen: ObservedLink | undefined, ipv6: boolean): Change[] {
  const { name, mtu } = link;
  const changes: Change[] = [];
  if (seen === undefined) changes.push({ kind: 'createLink', make: link }, { kind: 'claimLink', name });
  // a bridge follows its ports' MTU unless it is set once it exists
  if (seen?.mtu !== mtu) changes.push({ kind: 'linkMTU', name, mtu });
  // such frames (LLDP) pass no rule that could check them, and a forged source would divert another container's
  // frames
  if (link.kind === 'bridge' && seen?.noControlLearning !== true)
    changes.push({ kind: 'noControlLearning', name });
  const unasked = (address: string) => address.startsWith('fe80:') && !link.addresses.includes(address);
  if (ipv6 && seen?.addresses.some(unasked) !== false) changes.push({ kind: 'noLinkLocal', name });
  if (seen?.up !== true) changes.push({ kind: 'linkUp', name });
  for (const address of link.addresses) {
    if (seen?.addresses.includes(address) !== true) changes.push({ kind: 'addAddress', link: name, address });
  }
  return changes;
}

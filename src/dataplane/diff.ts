import { emptyPlan, type Change, type KernelPlan } from './change.ts';
import { diffLinks, type LinkDiff } from './links.ts';
import { membersPrefix } from './ownership.ts';
import type { Family } from '../net/address.ts';
import { ruleFamily } from './rules.ts';
import type { Desired, Failure, Observed } from './state.ts';

/**
 * Plans the changes in order: additions before deletions, objects before those that depend on them, and deletions in
 * reverse. A part of the kernel that could not be read is left alone.
 */
export function diff(desired: Desired, observed: Observed): { plan: KernelPlan; failures: Failure[] } {
  const plan = emptyPlan();
  const failures: Failure[] = [...desired.failures];
  diffSets(desired, observed, plan);
  // without the links, nothing is known of the objects that depend on them
  if (observed.links !== undefined) {
    const links = diffLinks(desired, observed.links, failures);
    plan.linkLayer.push(...links.changes);
    const tunnel = links.usable ? desired.tunnel : undefined;
    const peers = tunnel === undefined ? undefined : { tunnel, fresh: links.fresh };
    const staleNeighbours = peers === undefined ? [] : diffOnTunnel(desired, observed, peers, plan);
    const staleNexthops: Change[] = [];
    const nexthops = diffNexthops(desired, observed, links, plan, staleNexthops, failures);
    diffRoutes(desired, observed, nexthops, plan);
    diffRules(desired, observed, plan);
    plan.routing.push(...staleNexthops, ...staleNeighbours, ...links.stale);
  }
  return { plan, failures };
}

interface Tunnel {
  tunnel: string;
  /** The link is about to be created. What is seen on it belongs to an old link and goes with that. */
  fresh: boolean;
}

/**
 * Compares the entries on the tunnel's link.
 * @returns the neighbours to delete at the end
 */
function diffOnTunnel(
  { neighbours, fdb }: Desired,
  observed: Observed,
  { tunnel: link, fresh }: Tunnel,
  plan: KernelPlan,
): Change[] {
  const stale: Change[] = [];
  const seenNeighbours = fresh ? new Map<string, never>() : observed.neighbours;
  if (seenNeighbours !== undefined) {
    for (const [address, mac] of neighbours) {
      const seen = seenNeighbours.get(address);
      if (seen?.mac !== mac || !seen.permanent)
        plan.linkLayer.push({ kind: 'setNeighbour', link, address, mac });
    }
    for (const [address, { permanent }] of seenNeighbours) {
      if (permanent && !neighbours.has(address)) stale.push({ kind: 'deleteNeighbour', link, address });
    }
  }
  const seenFDB = fresh ? new Map<string, never>() : observed.fdb;
  if (seenFDB !== undefined) {
    for (const [mac, to] of fdb) {
      const seen = seenFDB.get(mac);
      if (seen?.to !== to || !seen.permanent) plan.fdb.push({ kind: 'setFDB', link, mac, to });
    }
    for (const mac of seenFDB.keys()) {
      if (!fdb.has(mac)) plan.staleFDB.push({ kind: 'deleteFDB', link, mac });
    }
  }
  return stale;
}

/** Nexthops that routes may use, and those that the kernel has now (undefined: unknown). */
interface Nexthops {
  good: Set<number>;
  seen: Set<number>;
}

function diffNexthops(
  desired: Desired,
  observed: Observed,
  { usable, removed }: LinkDiff,
  plan: KernelPlan,
  stale: Change[],
  failures: Failure[],
): Nexthops | undefined {
  if (observed.nexthops === undefined) return undefined;
  const good = new Set<number>();
  const seen = new Set<number>();
  for (const [id, { ours, link }] of observed.nexthops) {
    if (!ours || removed.has(link)) continue;
    seen.add(id);
    if (!desired.nexthops.has(id)) stale.push({ kind: 'deleteNexthop', id });
  }
  const link = desired.tunnel;
  if (link === undefined || !usable) return { good, seen };
  for (const [id, via] of desired.nexthops) {
    const found = observed.nexthops.get(id);
    const stands = found !== undefined && !removed.has(found.link);
    if (stands && !found.ours) {
      const where = `via ${found.via} dev ${found.link}`;
      const message = `nexthop ${id}, which ${via} needs, exists already (${where}) and is not overlaynet's`;
      failures.push({ message });
      continue;
    }
    good.add(id);
    if (!stands) plan.linkLayer.push({ kind: 'addNexthop', link, id, via });
    else if (found.via !== via || found.link !== link)
      plan.linkLayer.push({ kind: 'replaceNexthop', link, id, via });
  }
  return { good, seen };
}

function diffRoutes(
  desired: Desired,
  observed: Observed,
  nexthops: Nexthops | undefined,
  plan: KernelPlan,
): void {
  if (observed.routes === undefined || nexthops === undefined) return;
  for (const [key, route] of desired.routes) {
    if (route.nexthop !== undefined && !nexthops.good.has(route.nexthop)) continue;
    const seen = observed.routes.get(key);
    // the kernel removed the route with its nexthop if that depended on a link that is recreated
    const stands = seen !== undefined && (seen.nexthop === undefined || nexthops.seen.has(seen.nexthop));
    if (stands && seen.nexthop === route.nexthop && seen.altered !== true) continue;
    const about = {
      network: route.network,
      ...(route.nexthop !== undefined && desired.tunnel !== undefined ? { link: desired.tunnel } : {}),
    };
    if (stands) plan.routing.push({ ...about, kind: 'clearRoute', route: seen });
    plan.routing.push({ ...about, kind: 'addRoute', route });
  }
  for (const [key, route] of observed.routes) {
    const stands = route.nexthop === undefined || nexthops.seen.has(route.nexthop);
    if (stands && !desired.routes.has(key)) plan.routing.push({ kind: 'deleteRoute', route });
  }
}

function diffRules(desired: Desired, observed: Observed, plan: KernelPlan): void {
  const into = (family: Family) => (family === 4 ? plan.routing : plan.rules6);
  for (const family of [4, 6] as const) {
    const seen = observed.rules[family];
    if (seen === undefined) continue;
    const wanted = [...desired.rules].filter((rule) => ruleFamily(rule) === family);
    for (const rule of wanted) if (!seen.has(rule)) into(family).push({ kind: 'addRule', rule });
    for (const rule of seen) if (!desired.rules.has(rule)) into(family).push({ kind: 'deleteRule', rule });
  }
}

function diffSets(desired: Desired, observed: Observed, plan: KernelPlan): void {
  if (observed.sets === undefined) return;
  for (const [name, { family, entries }] of desired.sets) {
    const seen = observed.sets.get(name);
    if (seen === undefined) plan.sets.push({ kind: 'createSet', name, family });
    for (const entry of entries) {
      if (seen?.entries.has(entry) !== true) plan.sets.push({ kind: 'addEntry', name, entry });
    }
    for (const entry of seen?.entries ?? []) {
      if (entries.has(entry)) continue;
      // the set of nodes whose tunnel packets are accepted is updated before everything else
      const step = name.startsWith(membersPrefix) ? plan.sets : plan.staleSets;
      step.push({ kind: 'deleteEntry', name, entry });
    }
  }
  for (const name of observed.sets.keys()) {
    if (!desired.sets.has(name)) plan.staleSets.push({ kind: 'destroySet', name });
  }
}

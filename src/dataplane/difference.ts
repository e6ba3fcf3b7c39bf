import type { Change, KernelPlan } from './change.ts';
import { steps } from './change.ts';
import { routeKey, type Desired, type Observed, type Route } from './state.ts';

/** One way in which a node differs from what is desired. */
export interface Difference {
  /** `Missing`: it does not exist; `Wrong`: it exists and differs; `Foreign`: it exists and should not. */
  is: 'Missing' | 'Wrong' | 'Foreign';
  kind:
    | 'Link'
    | 'Address'
    | 'Port'
    | 'Neighbour'
    | 'FDB'
    | 'Nexthop'
    | 'Route'
    | 'Rule'
    | 'Set'
    | 'Chain'
    | 'Table'
    | 'Lease'
    | 'Record';
  object: string;
  network?: string;
  message: string;
}

/** Derives the differences from the changes that a pass would make now. Several changes of one object are one difference. */
export function differencesOf(plan: KernelPlan, desired: Desired, observed: Observed): Difference[] {
  const changes = steps.flatMap(({ name }) => plan[name]);
  const made = new Set(changes.flatMap((change) => (change.kind === 'createLink' ? change.make.name : [])));
  const created = new Set(changes.flatMap((change) => (change.kind === 'createSet' ? change.name : [])));
  const cleared = new Set(
    changes.flatMap((change) => (change.kind === 'clearRoute' ? routeKey(change.route) : [])),
  );
  const found = changes.flatMap((change): Difference[] => {
    // these follow from a missing link or set, which is reported by itself
    if (change.kind !== 'createLink' && isOn(change, made)) return [];
    if (change.kind === 'addEntry' && created.has(change.name)) return [];
    const one = isOfLink(change)
      ? linkDifference(change, observed, cleared)
      : entryDifference(change, observed);
    const { network } = change;
    return one === undefined ? [] : [{ ...one, ...(network === undefined ? {} : { network }) }];
  });
  return [...foreignObjects(desired, observed), ...found];
}

/** Other programs' objects with the name or id of one of ours. They stay, and ours is missing. */
function foreignObjects(desired: Desired, observed: Observed): Difference[] {
  const links = [...desired.links.values()].flatMap(({ name, network }): Difference[] => {
    const seen = observed.links?.get(name);
    if (seen === undefined || seen.ours) return [];
    const message = `a link (${seen.kind}) that is not overlaynet's has this name: ip link del ${name}, or rename it`;
    return [{ is: 'Foreign', kind: 'Link', object: name, ...(network && { network }), message }];
  });
  const nexthops = [...desired.nexthops].flatMap(([id, via]): Difference[] => {
    const seen = observed.nexthops?.get(id);
    if (seen === undefined || seen.ours) return [];
    const message = `a nexthop (via ${seen.via} dev ${seen.link}) that is not overlaynet's has the id that ${via} needs: ip nexthop del id ${id}`;
    return [{ is: 'Foreign', kind: 'Nexthop', object: String(id), message }];
  });
  return [...links, ...nexthops];
}

/** Whether the change concerns a link that has to be made again. */
function isOn(change: Change, made: ReadonlySet<string>): boolean {
  if ('name' in change && made.has(change.name)) return true;
  return change.link !== undefined && made.has(change.link);
}

const linkKinds = [
  'createLink',
  'deleteLink',
  'linkUp',
  'linkMTU',
  'noLinkLocal',
  'noControlLearning',
  'joinBridge',
  'hairpin',
  'claimLink',
  'clearRoute',
  'addRoute',
  'deleteRoute',
] as const;
/** Changes of links and routes. */
type LinkChange = Extract<Change, { kind: (typeof linkKinds)[number] }>;
const isOfLink = (change: Change): change is LinkChange => linkKinds.some((kind) => kind === change.kind);

/** Undefined for a change that only accompanies another one. */
function linkDifference(
  change: LinkChange,
  observed: Observed,
  cleared: ReadonlySet<string>,
): Difference | undefined {
  switch (change.kind) {
    case 'createLink': {
      const { name, kind } = change.make;
      const seen = observed.links?.get(name);
      return seen === undefined
        ? missing('Link', name, `there is no ${kind} of this name`)
        : wrong('Link', name, `it has another kind, MAC or tunnel setting (${seen.kind}, ${seen.mac})`);
    }
    case 'deleteLink':
      return foreign('Link', change.name, 'it has our alias, and no network needs it');
    case 'linkUp':
      return change.link === undefined
        ? wrong('Link', change.name, 'it is down')
        : wrong('Port', change.name, 'it is down');
    case 'linkMTU': {
      const mtu = observed.links?.get(change.name)?.mtu ?? 0;
      return wrong('Link', change.name, `its MTU is ${mtu} and should be ${change.mtu}`);
    }
    case 'noLinkLocal':
      return wrong('Link', change.name, 'the kernel gives it a link-local address');
    case 'noControlLearning':
      return wrong('Link', change.name, 'it learns addresses from control frames');
    case 'joinBridge':
      return wrong(
        'Port',
        change.name,
        `it is on ${observed.links?.get(change.name)?.master ?? 'no bridge'} and should be on ${change.link}`,
      );
    case 'hairpin':
      return wrong('Port', change.name, 'it does not send back to its own container (hairpin)');
    case 'claimLink':
    case 'clearRoute':
      return undefined;
    case 'addRoute':
      return cleared.has(routeKey(change.route))
        ? wrong('Route', routeText(change.route), 'it has another next hop')
        : missing('Route', routeText(change.route), 'there is no such route');
    case 'deleteRoute':
      return foreign('Route', routeText(change.route), 'it has our protocol number, and no network needs it');
  }
}

function entryDifference(change: Exclude<Change, LinkChange>, observed: Observed): Difference {
  switch (change.kind) {
    case 'addAddress':
      return missing('Address', `${change.address} on ${change.link}`, 'the link has no such address');
    case 'deleteAddress':
      return foreign('Address', `${change.address} on ${change.link}`, 'no network needs it there');
    case 'setNeighbour': {
      const seen = observed.neighbours?.get(change.address);
      return seen === undefined
        ? missing('Neighbour', change.address, `should be ${change.mac} on ${change.link}`)
        : wrong('Neighbour', change.address, `is ${seen.mac} and should be ${change.mac}, permanent`);
    }
    case 'deleteNeighbour':
      return foreign('Neighbour', change.address, `no node has this tunnel's end (${change.link})`);
    case 'setFDB': {
      const seen = observed.fdb?.get(change.mac);
      return seen === undefined
        ? missing('FDB', change.mac, `should lead to ${change.to} on ${change.link}`)
        : wrong('FDB', change.mac, `leads to ${seen.to} and should lead to ${change.to}, permanent`);
    }
    case 'deleteFDB':
      return foreign('FDB', change.mac, `no node has this hardware address (${change.link})`);
    case 'addNexthop':
      return missing('Nexthop', `${change.id} via ${change.via}`, 'there is no such nexthop');
    case 'replaceNexthop':
      return wrong('Nexthop', `${change.id} via ${change.via}`, 'it has another next hop');
    case 'deleteNexthop':
      return foreign('Nexthop', String(change.id), 'it has our protocol number, and no network needs it');
    case 'addRule':
      return missing('Rule', change.rule, 'there is no such routing rule');
    case 'deleteRule':
      return foreign('Rule', change.rule, 'it has our protocol number, and no network needs it');
    case 'createSet':
      return missing('Set', change.name, 'there is no such set');
    case 'addEntry':
      return missing('Set', `${change.name} ${change.entry}`, 'the set has no such entry');
    case 'deleteEntry':
      return foreign('Set', `${change.name} ${change.entry}`, 'no network needs this entry');
    case 'destroySet':
      return foreign('Set', change.name, 'it has our prefix, and no network needs it');
  }
}

const missing = (kind: Difference['kind'], object: string, message: string): Difference => ({
  is: 'Missing',
  kind,
  object,
  message,
});
const wrong = (kind: Difference['kind'], object: string, message: string): Difference => ({
  is: 'Wrong',
  kind,
  object,
  message,
});
const foreign = (kind: Difference['kind'], object: string, message: string): Difference => ({
  is: 'Foreign',
  kind,
  object,
  message,
});

const routeText = ({ to, table, metric }: Route): string => `${to} table ${table} metric ${metric}`;

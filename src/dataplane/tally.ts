import type { Change, KernelPlan } from './change.ts';
import { steps } from './change.ts';
import type { Desired } from './state.ts';

/** Kinds of kernel objects, as metrics name them. */
export type ObjectKind =
  'link' | 'address' | 'neighbour' | 'fdb' | 'nexthop' | 'route' | 'rule' | 'set' | 'iptables' | 'nftables';

export type Tally = Partial<Record<ObjectKind, number>>;

const kinds: Record<Change['kind'], ObjectKind> = {
  createLink: 'link',
  claimLink: 'link',
  deleteLink: 'link',
  linkUp: 'link',
  linkMTU: 'link',
  noLinkLocal: 'link',
  noControlLearning: 'link',
  joinBridge: 'link',
  hairpin: 'link',
  addAddress: 'address',
  deleteAddress: 'address',
  setNeighbour: 'neighbour',
  deleteNeighbour: 'neighbour',
  addNexthop: 'nexthop',
  replaceNexthop: 'nexthop',
  deleteNexthop: 'nexthop',
  addRoute: 'route',
  deleteRoute: 'route',
  clearRoute: 'route',
  addRule: 'rule',
  deleteRule: 'rule',
  setFDB: 'fdb',
  deleteFDB: 'fdb',
  createSet: 'set',
  addEntry: 'set',
  deleteEntry: 'set',
  destroySet: 'set',
};

/** Counts the changes of a plan by the kind of object that they change. */
export function tally(plan: KernelPlan): Tally {
  const counts: Tally = {};
  for (const { name } of steps)
    for (const { kind } of plan[name]) counts[kinds[kind]] = (counts[kinds[kind]] ?? 0) + 1;
  return counts;
}

/** Counts what a node's kernel should hold, by kind; of sets the elements, of iptables the rules. */
export const entriesOf = (state: Desired): Record<Exclude<ObjectKind, 'nftables'>, number> => ({
  link: state.links.size,
  address: [...state.links.values()].reduce((sum, { addresses }) => sum + addresses.length, 0),
  neighbour: state.neighbours.size,
  fdb: state.fdb.size,
  nexthop: state.nexthops.size,
  route: state.routes.size,
  rule: state.rules.size,
  set: [...state.sets.values()].reduce((sum, { entries }) => sum + entries.size, 0),
  iptables: [...state.chains[4], ...state.chains[6]].reduce((sum, { rules }) => sum + rules.length, 0),
});

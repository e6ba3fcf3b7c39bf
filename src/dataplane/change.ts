import type { Family } from '../net/address.ts';
import { alias, protocol, setPrefix } from './ownership.ts';
import type { Link, Route } from './state.ts';
import { familyOf } from '../net/address.ts';

/**
 * One write to the kernel, which is one line of a program's batch. `network`: the network that a failure concerns
 * (absent: all). `link`: the link that it needs; if that link failed, a failure of this change is not reported.
 */
export type Change = { network?: string | undefined; link?: string } & (
  | { kind: 'createLink'; make: Link }
  | { kind: 'claimLink' | 'deleteLink' | 'linkUp'; name: string }
  | { kind: 'linkMTU'; name: string; mtu: number }
  | { kind: 'noLinkLocal' | 'noControlLearning'; name: string }
  | { kind: 'joinBridge'; link: string; name: string }
  | { kind: 'hairpin'; name: string }
  | { kind: 'addAddress' | 'deleteAddress'; link: string; address: string }
  | { kind: 'setNeighbour'; link: string; address: string; mac: string }
  | { kind: 'deleteNeighbour'; link: string; address: string }
  | { kind: 'addNexthop' | 'replaceNexthop'; link: string; id: number; via: string }
  | { kind: 'deleteNexthop'; id: number }
  | { kind: 'addRoute' | 'deleteRoute' | 'clearRoute'; route: Route }
  | { kind: 'addRule' | 'deleteRule'; rule: string }
  | { kind: 'setFDB'; link: string; mac: string; to: string }
  | { kind: 'deleteFDB'; link: string; mac: string }
  | { kind: 'createSet'; name: string; family: Family }
  | { kind: 'addEntry' | 'deleteEntry'; name: string; entry: string }
  | { kind: 'destroySet'; name: string }
);

/** The line for `ip -batch`, `bridge -batch` or `ipset restore`. */
export function render(change: Change): string {
  switch (change.kind) {
    case 'createLink':
      return createLink(change.make);
    case 'claimLink':
      return `link set ${change.name} alias ${alias}`;
    case 'deleteLink':
      return `link del ${change.name}`;
    case 'noControlLearning':
      return `link set ${change.name} type bridge no_linklocal_learn 1`;
    case 'linkUp':
      return `link set ${change.name} up`;
    case 'linkMTU':
      return `link set ${change.name} mtu ${change.mtu}`;
    case 'noLinkLocal':
      return `link set ${change.name} addrgenmode none`;
    case 'joinBridge':
      return `link set ${change.name} master ${change.link}`;
    case 'hairpin':
      return `link set ${change.name} type bridge_slave hairpin on`;
    case 'addAddress':
      return `addr add ${change.address} dev ${change.link}${familyOf(change.address) === 6 ? ' nodad' : ''}`;
    case 'deleteAddress':
      return `addr del ${change.address} dev ${change.link}`;
    case 'setNeighbour':
      return `neigh replace ${change.address} lladdr ${change.mac} dev ${change.link} nud permanent`;
    case 'deleteNeighbour':
      return `neigh del ${change.address} dev ${change.link}`;
    case 'addNexthop':
      return `nexthop add ${nexthop(change)}`;
    case 'replaceNexthop':
      return `nexthop replace ${nexthop(change)}`;
    case 'deleteNexthop':
      return `nexthop del id ${change.id}`;
    case 'addRoute':
      return `route add ${route(change.route)}`;
    case 'clearRoute':
    case 'deleteRoute':
      return `route del ${route(change.route)}`;
    case 'addRule':
      return `rule add ${change.rule} protocol ${protocol}`;
    case 'deleteRule':
      return `rule del ${change.rule} protocol ${protocol}`;
    case 'setFDB':
      return `fdb replace ${change.mac} dev ${change.link} dst ${change.to} self permanent`;
    case 'deleteFDB':
      return `fdb del ${change.mac} dev ${change.link} self`;
    case 'createSet':
      return `create ${change.name} ${setType(change.family)} -exist`;
    case 'addEntry':
      return `add ${change.name} ${change.entry} -exist`;
    case 'deleteEntry':
      return `del ${change.name} ${change.entry} -exist`;
    case 'destroySet':
      return `destroy ${change.name}`;
  }
}

const createLink = ({ name, mac, kind, vxlan }: Link): string =>
  `link add ${name} address ${mac} type ${kind}` +
  (vxlan === undefined ? '' : ` id ${vxlan.vni} dstport ${vxlan.port} local ${vxlan.local} nolearning`);

const nexthop = ({ id, via, link }: { id: number; via: string; link: string }): string =>
  `id ${id} via ${via} dev ${link} protocol ${protocol}`;

/**
 * The route's arguments. They go with `add`, never `replace`, so that another program's route to the same destination
 * stays and ours fails.
 */
const route = ({ to, table, metric, nexthop, altered }: Route): string =>
  `${nexthop === undefined && altered !== true ? 'unreachable ' : ''}${to} table ${table} metric ${metric} proto ${protocol}` +
  (nexthop === undefined ? '' : ` nhid ${nexthop}`);

const setType = (family: Family): string =>
  `hash:net family ${family === 4 ? 'inet' : 'inet6'} maxelem 1048576`;

/** The steps in order. Each is one process, however many changes it takes. */
export const steps = [
  { name: 'sets', program: 'ipset', args: ['restore'] },
  { name: 'linkLayer', program: 'ip', args: ['-force', '-batch', '-'] },
  { name: 'fdb', program: 'bridge', args: ['-force', '-batch', '-'] },
  { name: 'routing', program: 'ip', args: ['-force', '-batch', '-'] },
  { name: 'rules6', program: 'ip', args: ['-6', '-force', '-batch', '-'] },
  { name: 'staleFDB', program: 'bridge', args: ['-force', '-batch', '-'] },
  { name: 'staleSets', program: 'ipset', args: ['restore'] },
] as const;

export type StepName = (typeof steps)[number]['name'];

/** The changes of each step, in order. */
export type KernelPlan = Record<StepName, Change[]>;

export const emptyPlan = (): KernelPlan => ({
  sets: [],
  linkLayer: [],
  fdb: [],
  routing: [],
  rules6: [],
  staleFDB: [],
  staleSets: [],
});

export const isOurSet = (name: string): boolean => name.startsWith(setPrefix);

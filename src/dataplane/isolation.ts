import { familyOf, type Family } from '../net/address.ts';
import { bare } from '../net/cidr.ts';
import { judgedFamilies, subnetsOf, type Policy } from './policy.ts';
import type { Chain, IPSet } from './state.ts';
import { setName } from './ownership.ts';
import { overlaySet } from './filter.ts';

/** `net-NETWORK`: its subnets; `may-NETWORK`: subnets of the networks that it talks with. At most 31 characters. */
type SetOf = `net-${string}` | `may-${string}` | 'closed' | 'own' | 'callers' | 'api' | 'further';

const isolationSet = (name: SetOf, family: Family): string => setName(name, family);

/**
 * The sets of isolation. Permitting sets come first, so that a network's new subnet is never cut off from the rest of
 * it.
 */
export function isolationSets(policy: Policy): Map<string, IPSet> {
  const sets = new Map<string, IPSet>();
  for (const family of judgedFamilies(policy)) {
    const add = (name: SetOf, entries: string[]) =>
      sets.set(isolationSet(name, family), { family, entries: new Set(entries) });
    for (const [network, may] of isolatedIn(policy, family)) {
      add(`may-${network}`, subnetsOf(policy, may, family));
      add(`net-${network}`, subnetsOf(policy, new Set([network]), family));
    }
    const closed = subnetsOf(policy, policy.closed, family);
    if (closed.length === 0) continue;
    add('own', policy.own.filter((cidr) => familyOf(cidr) === family).map(bare));
    const callers = subnetsOf(policy, policy.callers, family);
    if (callers.length > 0) {
      add('callers', callers);
      add(
        'api',
        policy.apiServers.map(({ address }) => address).filter((address) => familyOf(address) === family),
      );
    }
    add(
      'further',
      policy.further.filter((address) => familyOf(address) === family),
    );
    add('closed', closed);
  }
  return sets;
}

const isolatedIn = (policy: Policy, family: Family): [string, Set<string>][] =>
  [...policy.isolated].filter(([network]) => subnetsOf(policy, new Set([network]), family).length > 0);

/** Whether a set holds what may pass, so that removing an entry is stricter; undefined for sets of neither kind. */
export function permits(name: string): boolean | undefined {
  if (/^overlaynet-(may-.*|own|callers|api)-[46]$/.test(name)) return true;
  return /^overlaynet-(net-.*|closed|further)-[46]$/.test(name) ? false : undefined;
}

const established = '-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN';

/** For UDP and TCP. */
const each = (rule: (protocol: string) => string): string[] => ['udp', 'tcp'].map(rule);

/** Port 53 of a Service, as the client asked for it. Only the node that translates the destination can tell. */
const toDNS = each((protocol) => `-p ${protocol} -m conntrack --ctstate DNAT --ctorigdstport 53 -j RETURN`);

/** Port 53, translated elsewhere or not at all. */
const toPort53 = (protocol: string) =>
  `-p ${protocol} -m ${protocol} --dport 53 -m conntrack ! --ctstate DNAT`;

/**
 * The isolation rules. They are in mangle, whose chains run before those of the filter table, where kube-proxy and
 * others put ACCEPTs at the head. The hooks run after destinations were translated; docs/isolation.md says which
 * packet is judged where, and why.
 */
export function isolationChains(policy: Policy, tunnel: string): Record<Family, Chain[]> {
  const chains: Record<Family, Chain[]> = { 4: [], 6: [] };
  for (const family of judgedFamilies(policy)) {
    const match = matchesOf(family);
    const closed = subnetsOf(policy, policy.closed, family).length > 0;
    const toAPI = apiPorts(policy, family).map(
      (port) =>
        `-p tcp -m tcp --dport ${port} ${match.set('callers', 'src')} ${match.set('api', 'dst')} -j RETURN`,
    );
    const isolated = isolatedIn(policy, family).map(([network]) => network);
    const forward = [
      established,
      ...toDNS,
      ...(closed ? closedForward(match, tunnel, toAPI) : []),
      ...betweenNetworks(match, tunnel, isolated),
    ];
    chains[family].push({ table: 'mangle', hook: 'FORWARD', rules: forward });
    if (!closed) continue;
    chains[family].push(
      { table: 'mangle', hook: 'INPUT', rules: closedInput(match, tunnel, toAPI) },
      // not OUTPUT, where the destination is still the Service's address
      { table: 'mangle', hook: 'POSTROUTING', rules: closedOutput(match) },
    );
  }
  return chains;
}

type Side = 'src' | 'dst';

/** Matches of one family that the rules are composed of. */
function matchesOf(family: Family) {
  const noOverlay = (side: Side) => `-m set ! --match-set ${overlaySet('overlays', family)} ${side}`;
  const set = (name: SetOf, side: Side) => `-m set --match-set ${isolationSet(name, family)} ${side}`;
  return {
    set,
    not: (name: SetOf, side: Side) => `-m set ! --match-set ${isolationSet(name, family)} ${side}`,
    noOverlay,
    /** Another node, by a registered address. */
    host: (side: Side) => `-m set --match-set ${overlaySet('direct', family)} ${side} ${noOverlay(side)}`,
    /** Another node, by one of its other addresses. */
    further: (side: Side) => `${set('further', side)} ${noOverlay(side)}`,
    /** To this node: to an address of its own, or its VTEP's. */
    toNode: `-m set --match-set ${overlaySet('sources', family)} dst`,
  };
}

type Matches = ReturnType<typeof matchesOf>;

/** Between other nodes and networks that are closed to them. */
const closedForward = ({ set, noOverlay, host, further }: Matches, tunnel: string, toAPI: string[]) => [
  // another node's process, by a NodePort of this one
  `${host('src')} ${set('closed', 'dst')} -m conntrack --ctstate DNAT -j DROP`,
  `${further('src')} ${set('closed', 'dst')} -m conntrack --ctstate DNAT -j DROP`,
  // packets that this node forwards to another node's container and may masquerade, so that they would look like its
  // process's there
  `-o ${tunnel} ${noOverlay('src')} ${set('closed', 'dst')} -m conntrack ! --ctstate DNAT -j DROP`,
  ...toAPI,
  // another node's address reached by the uplink: masqueraded, the packet looks like one of this node's processes there
  `${set('closed', 'src')} ${further('dst')} -j DROP`,
  // and the reverse: kube-proxy may masquerade the packet, and then the other node cannot tell which network it
  // belongs to
  `${set('closed', 'src')} ${host('dst')} -m conntrack --ctstate DNAT -j DROP`,
  // the other node takes what comes by the tunnel to port 53 for a Service's request
  ...each((protocol) => `${toPort53(protocol)} ${set('closed', 'src')} ${host('dst')} -j DROP`),
];

/** Between containers of two networks, of which one or both are isolated. */
const betweenNetworks = ({ set, not, noOverlay }: Matches, tunnel: string, isolated: string[]) => [
  `${noOverlay('src')} -j RETURN`,
  `${noOverlay('dst')} -j RETURN`,
  ...each((protocol) => `-i ${tunnel} ${toPort53(protocol)} -j RETURN`),
  ...isolated.flatMap((network) => [
    `${set(`net-${network}`, 'src')} ${not(`may-${network}`, 'dst')} -j DROP`,
    `${set(`net-${network}`, 'dst')} ${not(`may-${network}`, 'src')} -j DROP`,
  ]),
];

/** From containers of closed networks to this node's processes. */
const closedInput = ({ set, not, toNode }: Matches, tunnel: string, toAPI: string[]) => [
  established,
  `${not('closed', 'src')} -j RETURN`,
  `${set('own', 'src')} -j RETURN`,
  ...toAPI,
  ...each((protocol) => `-i ${tunnel} ${toPort53(protocol)} ${toNode} -j RETURN`),
  '-j DROP',
];

/** From this node's processes to containers of closed networks. */
const closedOutput = ({ set, not }: Matches) => [
  established,
  `${not('closed', 'dst')} -j RETURN`,
  `${set('own', 'dst')} -j RETURN`,
  '-m addrtype ! --src-type LOCAL -j RETURN',
  ...toDNS,
  '-j DROP',
];

function apiPorts(policy: Policy, family: Family): number[] {
  if (subnetsOf(policy, policy.callers, family).length === 0) return [];
  const ports = policy.apiServers
    .filter(({ address }) => familyOf(address) === family)
    .map(({ port }) => port);
  return [...new Set(ports)].sort((a, b) => a - b);
}

import { familyOf, type Family } from '../net/address.ts';
import { bare } from '../net/cidr.ts';
import { judged, subnetsOf, type Policy } from './policy.ts';
import type { Chain, IPSet } from './state.ts';
import { setName } from './ownership.ts';
import { overlaySet } from './filter.ts';

/** `net-NETWORK`: its subnets; `may-NETWORK`: those of the networks that it talks with. At most 31 characters. */
type SetOf = `net-${string}` | `may-${string}` | 'closed' | 'own' | 'callers' | 'api' | 'further';

const isolationSet = (name: SetOf, family: Family): string => setName(name, family);

/** What permits comes before what forbids: a subnet that a network gains is never cut off from the rest of it. */
export function isolationSets(policy: Policy): Map<string, IPSet> {
  const sets = new Map<string, IPSet>();
  for (const family of judged(policy)) {
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

/** Whether a set holds what may pass, so that losing an entry is what makes it stricter; undefined: neither. */
export function permits(name: string): boolean | undefined {
  if (/^overlaynet-(may-.*|own|callers|api)-[46]$/.test(name)) return true;
  return /^overlaynet-(net-.*|closed|further)-[46]$/.test(name) ? false : undefined;
}

const established = '-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN';

/** For UDP and TCP. */
const each = (rule: (protocol: string) => string): string[] => ['udp', 'tcp'].map(rule);

/** A Service's port 53, as the client asked for it: the node that translates the destination alone can tell. */
const toDNS = each((protocol) => `-p ${protocol} -m conntrack --ctstate DNAT --ctorigdstport 53 -j RETURN`);

/** To port 53, translated elsewhere or not at all. */
const toPort53 = (protocol: string) =>
  `-p ${protocol} -m ${protocol} --dport 53 -m conntrack ! --ctstate DNAT`;

/**
 * In mangle, whose chains come before those of the table filter, where kube-proxy and others put ACCEPTs at the head.
 * The hooks come after destinations were translated; docs/isolation.md says which packet is judged where, and why.
 */
export function isolationChains(policy: Policy, tunnel: string): Record<Family, Chain[]> {
  const chains: Record<Family, Chain[]> = { 4: [], 6: [] };
  for (const family of judged(policy)) {
    const set = (name: SetOf, side: 'src' | 'dst') =>
      `-m set --match-set ${isolationSet(name, family)} ${side}`;
    const not = (name: SetOf, side: 'src' | 'dst') =>
      `-m set ! --match-set ${isolationSet(name, family)} ${side}`;
    const overlays = overlaySet('overlays', family);
    const host = (side: 'src' | 'dst') =>
      `-m set --match-set ${overlaySet('direct', family)} ${side} -m set ! --match-set ${overlays} ${side}`;
    const further = (side: 'src' | 'dst') =>
      `${set('further', side)} -m set ! --match-set ${overlays} ${side}`;
    const closed = subnetsOf(policy, policy.closed, family).length > 0;
    const toAPI = apiPorts(policy, family).map(
      (port) => `-p tcp -m tcp --dport ${port} ${set('callers', 'src')} ${set('api', 'dst')} -j RETURN`,
    );
    const forward = [
      established,
      ...toDNS,
      ...(closed
        ? [
            // another node's process, by a NodePort of this one
            `${host('src')} ${set('closed', 'dst')} -m conntrack --ctstate DNAT -j DROP`,
            `${further('src')} ${set('closed', 'dst')} -m conntrack --ctstate DNAT -j DROP`,
            // what this node forwards to another's container, and may masquerade: there it would look like a process
            `-o ${tunnel} -m set ! --match-set ${overlays} src ${set('closed', 'dst')} -m conntrack ! --ctstate DNAT -j DROP`,
            ...toAPI,
            // another node's address that is reached by the uplink: masqueraded, it looks there like this node's process
            `${set('closed', 'src')} ${further('dst')} -j DROP`,
            // and the other way: kube-proxy may masquerade it, and then the other node cannot tell whose it is
            `${set('closed', 'src')} ${host('dst')} -m conntrack --ctstate DNAT -j DROP`,
            // the other node takes what comes by the tunnel to port 53 for a Service's
            ...each((protocol) => `${toPort53(protocol)} ${set('closed', 'src')} ${host('dst')} -j DROP`),
          ]
        : []),
      `-m set ! --match-set ${overlays} src -j RETURN`,
      `-m set ! --match-set ${overlays} dst -j RETURN`,
      ...each((protocol) => `-i ${tunnel} ${toPort53(protocol)} -j RETURN`),
      ...isolatedIn(policy, family).flatMap(([network]) => [
        `${set(`net-${network}`, 'src')} ${not(`may-${network}`, 'dst')} -j DROP`,
        `${set(`net-${network}`, 'dst')} ${not(`may-${network}`, 'src')} -j DROP`,
      ]),
    ];
    chains[family].push({ table: 'mangle', hook: 'FORWARD', rules: forward });
    if (!closed) continue;
    const input = [
      established,
      `${not('closed', 'src')} -j RETURN`,
      `${set('own', 'src')} -j RETURN`,
      ...toAPI,
      ...each(
        (protocol) =>
          `-i ${tunnel} ${toPort53(protocol)} -m set --match-set ${overlaySet('sources', family)} dst -j RETURN`,
      ),
      '-j DROP',
    ];
    const output = [
      established,
      `${not('closed', 'dst')} -j RETURN`,
      `${set('own', 'dst')} -j RETURN`,
      '-m addrtype ! --src-type LOCAL -j RETURN',
      ...toDNS,
      '-j DROP',
    ];
    chains[family].push(
      { table: 'mangle', hook: 'INPUT', rules: input },
      // not OUTPUT: there the destination is still the Service's
      { table: 'mangle', hook: 'POSTROUTING', rules: output },
    );
  }
  return chains;
}

function apiPorts(policy: Policy, family: Family): number[] {
  if (subnetsOf(policy, policy.callers, family).length === 0) return [];
  const ports = policy.apiServers
    .filter(({ address }) => familyOf(address) === family)
    .map(({ port }) => port);
  return [...new Set(ports)].sort((a, b) => a - b);
}

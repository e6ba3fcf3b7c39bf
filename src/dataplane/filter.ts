import type { AgentAllocationSpec } from '../api/types.ts';
import type { Family } from '../net/address.ts';
import { setPrefix, tunnelMark } from './ownership.ts';
import type { Snapshot } from './snapshot.ts';
import { bare, familyOf, type Chain, type IPSet } from './state.ts';

type SetName = 'overlays' | 'direct' | 'members' | 'sources';

const setName = (name: SetName, family: Family): string => `${setPrefix}${name}-${family}`;

const families: readonly Family[] = [4, 6];

/** IPv6 is left alone on a cluster that has none: its nodes may have it switched off. */
const inUse = ({ config, networks }: Snapshot, own: AgentAllocationSpec, outer: Family): Family[] =>
  families.filter(
    (family) =>
      family === outer ||
      (family === 4 ? own.vtep?.ip : own.vtep?.ip6) !== undefined ||
      config.vtepSubnets.some((cidr) => familyOf(cidr) === family) ||
      networks.some(({ spec }) => spec.subnets.some(({ cidr }) => familyOf(cidr) === family)),
  );

/**
 * overlays: every overlay subnet. direct: where overlay addresses go unmasked: overlays, VTEP subnets, agents.
 * members: from whom tunnel packets are taken. sources: what may leave by the tunnel as it is.
 */
export function desiredSets(snapshot: Snapshot, own: AgentAllocationSpec, outer: Family): Map<string, IPSet> {
  const overlays = snapshot.networks.flatMap(({ spec }) => spec.subnets.map(({ cidr }) => bare(cidr)));
  const agents = snapshot.allocations.flatMap(({ spec }) => spec.addresses);
  const vteps = [own.vtep?.ip, own.vtep?.ip6].filter((text) => text !== undefined);
  const members: [SetName, string[]][] = [
    ['overlays', overlays],
    ['direct', [...overlays, ...snapshot.config.vtepSubnets.map(bare), ...agents]],
    ['sources', [...vteps.map((text) => text.replace(/\/.*/, '')), ...own.addresses]],
  ];
  const sets = new Map<string, IPSet>();
  for (const family of inUse(snapshot, own, outer)) {
    for (const [name, entries] of members) {
      const ofFamily = entries.filter((entry) => familyOf(entry) === family);
      sets.set(setName(name, family), { family, entries: new Set(ofFamily) });
    }
  }
  const outerAgents = agents.filter((address) => familyOf(address) === outer);
  sets.set(setName('members', outer), { family: outer, entries: new Set(outerAgents) });
  return sets;
}

/**
 * The rules of each family. The tunnel's packets are of the underlay's family alone, and what they carry of
 * either; the spelling is that of `iptables-save`, so that a rule that stands compares equal.
 */
export function desiredChains(
  snapshot: Snapshot,
  own: AgentAllocationSpec,
  outer: Family,
  tunnel: string,
): Record<Family, Chain[]> {
  const chains: Record<Family, Chain[]> = { 4: [], 6: [] };
  for (const family of inUse(snapshot, own, outer)) {
    const not = (name: SetName, side: 'src' | 'dst') =>
      `-m set ! --match-set ${setName(name, family)} ${side}`;
    chains[family].push(
      {
        table: 'nat',
        hook: 'POSTROUTING',
        rules: [
          `-m set --match-set ${setName('overlays', family)} src ${not('direct', 'dst')} -j MASQUERADE`,
          // a node's second address would lose its replies under strict rp_filter
          `-o ${tunnel} -m addrtype --src-type LOCAL ${not('sources', 'src')} -j MASQUERADE`,
        ],
      },
      { table: 'mangle', hook: 'POSTROUTING', rules: [`-o ${tunnel} -j MARK --set-xmark ${tunnelMark}`] },
    );
    if (family !== outer) continue;
    const toTunnel = `-p udp -m udp --dport ${snapshot.config.port}`;
    chains[family].push(
      { table: 'mangle', hook: 'INPUT', rules: [`${toTunnel} ${not('members', 'src')} -j DROP`] },
      {
        table: 'raw',
        hook: 'OUTPUT',
        rules: [`${toTunnel} -m owner --socket-exists -m mark ! --mark ${tunnelMark} -j DROP`],
      },
    );
    const rules = ownBridges(snapshot, own).map(
      (bridge) => `-i ${bridge} ${toTunnel} ${not('overlays', 'dst')} -j DROP`,
    );
    if (rules.length > 0) chains[family].push({ table: 'raw', hook: 'PREROUTING', rules });
  }
  return chains;
}

function ownBridges(snapshot: Snapshot, own: AgentAllocationSpec): string[] {
  const networks = new Set(snapshot.networks.map(({ metadata }) => metadata.name));
  return (own.networks ?? [])
    .filter(({ name }) => networks.has(name))
    .flatMap(({ name, subnets }) => [
      ...(subnets.some(({ bridges }) => bridges?.cni !== undefined) ? [`m-${name}`] : []),
      ...(subnets.some(({ bridges }) => bridges?.docker !== undefined) ? [`d-${name}`] : []),
    ]);
}

import type { AgentAllocationSpec } from '../api/types.ts';
import { familyOf, withoutLength, type Family } from '../net/address.ts';
import { bare } from '../net/cidr.ts';
import { linkPrefix } from '../net/name.ts';
import { joinChains } from './chains.ts';
import { forwardChains } from './forward.ts';
import { setName, tunnelMark, unmarked, uplinkMark } from './ownership.ts';
import type { Snapshot } from './snapshot.ts';
import type { Chain, IPSet } from './state.ts';

type SetName = 'overlays' | 'direct' | 'members' | 'sources';

/** A set that this file fills. */
export const overlaySet = (name: SetName, family: Family): string => setName(name, family);

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
    ['sources', [...vteps.map(withoutLength), ...own.addresses]],
  ];
  const sets = new Map<string, IPSet>();
  for (const family of inUse(snapshot, own, outer)) {
    for (const [name, entries] of members) {
      const ofFamily = entries.filter((entry) => familyOf(entry) === family);
      sets.set(overlaySet(name, family), { family, entries: new Set(ofFamily) });
    }
  }
  const outerAgents = agents.filter((address) => familyOf(address) === outer);
  sets.set(overlaySet('members', outer), { family: outer, entries: new Set(outerAgents) });
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
      `-m set ! --match-set ${overlaySet(name, family)} ${side}`;
    chains[family].push(
      {
        table: 'nat',
        hook: 'POSTROUTING',
        rules: [
          `-m set --match-set ${overlaySet('overlays', family)} src ${not('direct', 'dst')} -j MASQUERADE --random-fully`,
          // a node's second address would lose its replies under strict rp_filter
          `-o ${tunnel} -m addrtype --src-type LOCAL ${not('sources', 'src')} -j MASQUERADE --random-fully`,
          ...directRules(family),
        ],
      },
      {
        table: 'mangle',
        hook: 'POSTROUTING',
        // of processes alone: the kernel looks for the way of a packet that bears a mark, and knows that of others
        rules: [`-o ${tunnel} -m owner --socket-exists -j MARK --set-xmark ${tunnelMark}`],
      },
      { table: 'mangle', hook: 'PREROUTING', rules: uplinkRules(tunnel, not('overlays', 'src')) },
      ...forwardChains(family, tunnel),
    );
    // what a container's port brings comes by its bridge: else it has lost that, or sent to the bridge's control group
    const rules = [`-i ${linkPrefix.port}+ -j DROP`];
    // Docker's ports have no guard, and its containers may forge: at least no address of another network
    if (hasDocker(snapshot, own)) rules.push(`-i ${linkPrefix.docker}+ -m rpfilter --invert -j DROP`);
    chains[family].push({ table: 'raw', hook: 'PREROUTING', rules });
  }
  // ahead of all else, which has nothing to say of the tunnel's packets
  chains[outer] = joinChains(tunnelChains(snapshot, own, outer, tunnel), chains[outer]);
  return chains;
}

/**
 * A packet from overlay to overlay, or between an overlay and a node, keeps its source address: isolation and the receiver
 * go by it. Other programs would masquerade it; ip-masq-agent does so with all but its own list of ranges. ACCEPT ends the
 * chain of iptables; base chains in nftables' own tables are asked all the same (src/linux/interference.ts).
 */
function directRules(family: Family): string[] {
  const of = (name: SetName, side: 'src' | 'dst') => `-m set --match-set ${overlaySet(name, family)} ${side}`;
  const stranger = `-m set ! --match-set ${overlaySet('overlays', family)} src`;
  const keep = `-m mark --mark ${unmarked} -j ACCEPT`;
  const fromOverlay = `${of('overlays', 'src')} ${of('direct', 'dst')}`;
  return [
    `! -o ${linkPrefix.docker}+ ${fromOverlay} ${keep}`,
    // Docker masquerades a container that asks itself by its published port, without a mark
    `-o ${linkPrefix.docker}+ ${fromOverlay} -m conntrack ! --ctstate DNAT ${keep}`,
    `${stranger} ${of('direct', 'src')} ${of('overlays', 'dst')} ${keep}`,
  ];
}

/**
 * A connection that comes to an address of this node by an uplink is marked, and so are its packets in both directions
 * before they are routed. A container may be who answers, behind a NodePort, a published port or IPVS. Its replies leave
 * by the uplink then (src/dataplane/rules.ts). The requests bear the mark since strict rp_filter, which comes after the
 * translation, looks for the way back from the container.
 */
const uplinkRules = (tunnel: string, strangers: string): string[] => [
  `! -i ${tunnel} -m conntrack --ctstate NEW -m addrtype --dst-type LOCAL ${strangers} -j CONNMARK --set-xmark ${uplinkMark}`,
  `-m connmark --mark ${uplinkMark} -j MARK --set-xmark ${uplinkMark}`,
];

/**
 * Only members send through the tunnel, and of a member only its kernel: not its processes, not its containers, not
 * those who have it forward or translate what they send. Rules that look at what a packet was translated to come after
 * that, in mangle. The tunnel's own packets have no entry in the table of connections: where that is full, as after a
 * container has sent to many ports, they pass all the same.
 */
function tunnelChains(snapshot: Snapshot, own: AgentAllocationSpec, outer: Family, tunnel: string): Chain[] {
  const toTunnel = `-p udp -m udp --dport ${snapshot.config.port}`;
  const address = own.addresses.find((text) => familyOf(text) === outer) ?? '';
  const toSelf = `-d ${address}/${outer === 4 ? 32 : 128}`;
  const member = (side: 'src' | 'dst') => `-m set --match-set ${overlaySet('members', outer)} ${side}`;
  const stranger = `-m set ! --match-set ${overlaySet('members', outer)} src`;
  const translated = '-m conntrack --ctstate DNAT';
  return [
    {
      table: 'raw',
      hook: 'PREROUTING',
      // drops packets in a member's name that came by a link which does not lead to that member; to this node, without asking a set
      rules: [
        `${toSelf} ${toTunnel} -m rpfilter --invert -j DROP`,
        `${toSelf} ${toTunnel} ${member('src')} -j CT --notrack`,
        `! ${toSelf} ${toTunnel} ${member('dst')} -m rpfilter --invert -j DROP`,
      ],
    },
    {
      table: 'mangle',
      hook: 'INPUT',
      // members send to the registered address; a container may reach another one, and look like its node there
      rules: [
        `${toSelf} ${toTunnel} -m conntrack ! --ctstate DNAT ${member('src')} -j RETURN`,
        `${toTunnel} -j DROP`,
      ],
    },
    // a router between members lets them pass; whom it would masquerade it would make a member
    { table: 'mangle', hook: 'FORWARD', rules: [`${toTunnel} ${member('dst')} ${stranger} -j DROP`] },
    {
      table: 'raw',
      hook: 'OUTPUT',
      rules: [
        // to anyone else it may be the answer to a client that has this port by chance
        `${toTunnel} -m owner --socket-exists -m mark ! --mark ${tunnelMark} ${member('dst')} -j DROP`,
        // what comes here without a socket is what the tunnel carries of containers
        `${toTunnel} ${member('dst')} -j CT --notrack`,
      ],
    },
    {
      table: 'mangle',
      hook: 'POSTROUTING',
      rules: [
        // the tunnel's own; what goes into the tunnel is judged, though somebody else has it untracked
        `! -o ${tunnel} ${toTunnel} -m conntrack --ctstate UNTRACKED -j RETURN`,
        `${toTunnel} ${translated} ${member('dst')} -j DROP`,
      ],
    },
  ];
}

/** Whether Docker is to have a network here, or still has one. */
const hasDocker = ({ networks, docker = [] }: Snapshot, own: AgentAllocationSpec): boolean =>
  docker.length > 0 ||
  (own.networks ?? []).some(
    ({ name, subnets }) =>
      networks.some(({ metadata }) => metadata.name === name) &&
      subnets.some(({ bridges }) => bridges?.docker !== undefined),
  );

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

/** Families in use. A cluster without IPv6 gets no IPv6 rules, because its nodes may have IPv6 switched off. */
const inUse = ({ config, networks }: Snapshot, own: AgentAllocationSpec, outer: Family): Family[] =>
  families.filter(
    (family) =>
      family === outer ||
      (family === 4 ? own.vtep?.ip : own.vtep?.ip6) !== undefined ||
      config.vtepSubnets.some((cidr) => familyOf(cidr) === family) ||
      networks.some(({ spec }) => spec.subnets.some(({ cidr }) => familyOf(cidr) === family)),
  );

/**
 * The sets of a family. overlays: every overlay subnet. direct: destinations of overlay packets that are not
 * masqueraded (overlays, VTEP subnets, agents). members: nodes whose tunnel packets are accepted. sources: source
 * addresses that may leave by the tunnel unchanged.
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
 * The rules of each family. The tunnel's packets are of the underlay's family only, and carry packets of both. Rules
 * are spelled as `iptables-save` does, so that an existing rule compares equal.
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
          // a node's second address would not get its replies under strict rp_filter
          `-o ${tunnel} -m addrtype --src-type LOCAL ${not('sources', 'src')} -j MASQUERADE --random-fully`,
          ...directRules(family),
        ],
      },
      {
        table: 'mangle',
        hook: 'POSTROUTING',
        // only for processes: the kernel looks up the route again for a marked packet, and has the routes of the
        // others already
        rules: [`-o ${tunnel} -m owner --socket-exists -j MARK --set-xmark ${tunnelMark}`],
      },
      { table: 'mangle', hook: 'PREROUTING', rules: uplinkRules(tunnel, not('overlays', 'src')) },
      ...forwardChains(family, tunnel),
    );
    // a packet from a container's port must come by its bridge; otherwise the port lost its bridge, or the packet
    // went to the bridge's control group
    const rules = [`-i ${linkPrefix.port}+ -j DROP`];
    // Docker's ports have no such guard and containers may forge sources, but not addresses of another network
    if (hasDocker(snapshot, own)) rules.push(`-i ${linkPrefix.docker}+ -m rpfilter --invert -j DROP`);
    chains[family].push({ table: 'raw', hook: 'PREROUTING', rules });
  }
  // ahead of all other rules, which do not concern the tunnel's packets
  chains[outer] = joinChains(tunnelChains(snapshot, own, outer, tunnel), chains[outer]);
  return chains;
}

/**
 * Keeps the source address of packets from overlay to overlay and between an overlay and a node, because isolation
 * and the receiver judge by it. Other programs would masquerade them; ip-masq-agent does so for all ranges but its
 * own list. ACCEPT ends the chain in iptables, but base chains in nftables' own tables still see the packet
 * (src/linux/interference.ts).
 */
function directRules(family: Family): string[] {
  const of = (name: SetName, side: 'src' | 'dst') => `-m set --match-set ${overlaySet(name, family)} ${side}`;
  const stranger = `-m set ! --match-set ${overlaySet('overlays', family)} src`;
  const keep = `-m mark --mark ${unmarked} -j ACCEPT`;
  const fromOverlay = `${of('overlays', 'src')} ${of('direct', 'dst')}`;
  return [
    `! -o ${linkPrefix.docker}+ ${fromOverlay} ${keep}`,
    // Docker masquerades, without a mark, a container that reaches itself by its published port
    `-o ${linkPrefix.docker}+ ${fromOverlay} -m conntrack ! --ctstate DNAT ${keep}`,
    `${stranger} ${of('direct', 'src')} ${of('overlays', 'dst')} ${keep}`,
  ];
}

/**
 * Marks connections that come to an address of this node by an uplink, and their packets in both directions before
 * routing. The answering side may be a container, behind a NodePort, a published port or IPVS. The mark makes its
 * replies leave by the uplink (src/dataplane/rules.ts). Requests bear the mark too, because strict rp_filter runs
 * after the translation and looks up the way back from the container.
 */
const uplinkRules = (tunnel: string, strangers: string): string[] => [
  `! -i ${tunnel} -m conntrack --ctstate NEW -m addrtype --dst-type LOCAL ${strangers} -j CONNMARK --set-xmark ${uplinkMark}`,
  `-m connmark --mark ${uplinkMark} -j MARK --set-xmark ${uplinkMark}`,
];

/**
 * Lets only members send through the tunnel, and of a member only its kernel: not its processes, its containers, or
 * machines whose packets it forwards or translates. Rules that check the destination after translation come later, in
 * mangle. The tunnel's own packets are not in the connection table, so they pass even when the table is full, for
 * example after a container has sent to many ports.
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
      // drops packets in a member's name that arrive by a link which does not lead to it; for packets to this node no
      // set is needed
      rules: [
        `${toSelf} ${toTunnel} -m rpfilter --invert -j DROP`,
        `${toSelf} ${toTunnel} ${member('src')} -j CT --notrack`,
        `! ${toSelf} ${toTunnel} ${member('dst')} -m rpfilter --invert -j DROP`,
      ],
    },
    {
      table: 'mangle',
      hook: 'INPUT',
      // members send to the registered address; a container may reach another one and look like its node there
      rules: [
        `${toSelf} ${toTunnel} -m conntrack ! --ctstate DNAT ${member('src')} -j RETURN`,
        `${toTunnel} -j DROP`,
      ],
    },
    // a router between members lets their packets pass; if it masqueraded a packet, the packet would seem to come
    // from a member
    { table: 'mangle', hook: 'FORWARD', rules: [`${toTunnel} ${member('dst')} ${stranger} -j DROP`] },
    {
      table: 'raw',
      hook: 'OUTPUT',
      rules: [
        // to any other address this may be the answer to a client that happens to use this port
        `${toTunnel} -m owner --socket-exists -m mark ! --mark ${tunnelMark} ${member('dst')} -j DROP`,
        // packets without a socket here are those that the tunnel carries for containers
        `${toTunnel} ${member('dst')} -j CT --notrack`,
      ],
    },
    {
      table: 'mangle',
      hook: 'POSTROUTING',
      rules: [
        // the tunnel's own packets; packets going into the tunnel are judged even if another program made them
        // untracked
        `! -o ${tunnel} ${toTunnel} -m conntrack --ctstate UNTRACKED -j RETURN`,
        `${toTunnel} ${translated} ${member('dst')} -j DROP`,
      ],
    },
  ];
}

/** Whether Docker should have a network here, or still has one. */
const hasDocker = ({ networks, docker = [] }: Snapshot, own: AgentAllocationSpec): boolean =>
  docker.length > 0 ||
  (own.networks ?? []).some(
    ({ name, subnets }) =>
      networks.some(({ metadata }) => metadata.name === name) &&
      subnets.some(({ bridges }) => bridges?.docker !== undefined),
  );

/**
 * Manual changes of each kind of object that an agent owns. The objects are read from the kernel: they are the lines
 * that a node shows with an agent and did not show without. A line that no kind claims is an error, so that a new kind
 * of object cannot be forgotten.
 */
interface Kind {
  name: string;
  /** Matches the lines of test/support/residue.ts that belong to this kind. */
  claims: RegExp;
  /** Returns commands that delete the object of a line. */
  remove?: (match: RegExpExecArray) => string[];
  /** Returns commands that change it, or add another object of the same kind. */
  alter?: (match: RegExpExecArray) => string[];
}

const family = (text = '') => (text.includes(':') ? '-6' : '-4');
const field = (line: string, name: string, otherwise: string) =>
  new RegExp(`\\b${name} (\\S+)`).exec(line)?.[1] ?? otherwise;
const placeOf = (line: string) =>
  `table ${field(line, 'table', 'main')} metric ${field(line, 'metric', '0')}`;

const kinds: Kind[] = [
  {
    name: 'the tunnel',
    claims: /^links: (vtep\d+):? /,
    remove: ([, link]) => [`ip link del ${link}`],
    alter: ([, link]) => [`ip link set ${link} down mtu 1300`],
  },
  {
    name: 'bridges',
    claims: /^links: (m-[\w-]+):? /,
    remove: ([, link]) => [`ip link del ${link}`],
    alter: ([, link]) => [`ip link set ${link} down mtu 1300`],
  },
  {
    // a container's own port cannot come back without the container
    name: "containers' ports",
    claims: /^links: (c-\w+):? /,
    alter: ([, link]) => [`ip link set ${link} nomaster`],
  },
  {
    name: 'addresses',
    claims: /^addresses: (vtep\d+|m-[\w-]+) inet6? (\S+)/,
    remove: ([, link, address]) => [`ip addr del ${address} dev ${link}`],
    alter: ([, link, address]) => [
      `ip addr add ${address?.includes(':') === true ? '2001:db8:99::1/128' : '198.51.100.1/32'} dev ${link}`,
    ],
  },
  {
    name: 'routes',
    claims: /^routes6?: (unreachable )?(\S+) .*\bproto 142\b.*$/,
    remove: ([line, , to]) => [`ip ${family(to)} route del ${to} ${placeOf(line)} proto 142`],
    alter: ([line, , to]) => [
      `ip ${family(to)} route del ${to} ${placeOf(line)} proto 142`,
      `ip ${family(to)} route add ${to} dev lo ${placeOf(line)} proto 142`,
    ],
  },
  {
    name: 'routing rules',
    claims: /^rules(6?): (\d+): (from .*) proto 142$/,
    remove: ([, six, pref, rule]) => [
      `ip ${six === '6' ? '-6' : '-4'} rule del ${rule} pref ${pref} protocol 142`,
    ],
    alter: ([, six]) => [
      six === '6'
        ? 'ip -6 rule add from 2001:db8:99::/64 lookup 42 pref 143 protocol 142'
        : 'ip -4 rule add from 198.51.100.0/24 lookup 42 pref 143 protocol 142',
    ],
  },
  {
    name: 'neighbours',
    claims: /^neighbours6?: (\S+) dev (vtep\d+) lladdr /,
    remove: ([, address, link]) => [`ip neigh del ${address} dev ${link}`],
    alter: ([, address, link]) => [
      `ip neigh replace ${address} lladdr 02:00:00:00:00:99 dev ${link} nud permanent`,
    ],
  },
  {
    name: 'nexthops',
    claims: /^nexthops: id (\d+) via (\S+) dev (vtep\d+)/,
    remove: ([, id]) => [`ip nexthop del id ${id}`],
    alter: ([, id, via, link]) => [
      `ip nexthop replace id ${id} via ${via?.includes(':') === true ? 'fd01:a::77' : '44.128.0.77'} dev ${link} protocol 142`,
    ],
  },
  {
    name: 'FDB entries',
    claims: /^fdb: (\S+) dev (vtep\d+) dst (\S+)/,
    remove: ([, mac, link, to]) => [`bridge fdb del ${mac} dev ${link} dst ${to} self`],
    alter: ([, mac, link]) => [`bridge fdb replace ${mac} dev ${link} dst 172.17.0.99 self permanent`],
  },
  {
    // rules use the sets, so that the kernel refuses to destroy them
    name: 'sets',
    claims: /^sets: create (\S+) .*family (inet6?)/,
    remove: ([, set]) => [`ipset flush ${set}`],
    alter: ([, set, of]) => [`ipset add ${set} ${of === 'inet6' ? '2001:db8:99::/64' : '198.51.100.0/24'}`],
  },
  {
    name: 'entries of sets',
    claims: /^sets: add (\S+) (\S+)/,
    remove: ([, set, entry]) => [`ipset del ${set} ${entry}`],
  },
  {
    name: 'iptables rules',
    claims: /^(ip6?tables): -A (\S+) (.*)$/,
    remove: ([, program, chain, rule]) => [inEachTable(program, `-D ${chain} ${rule}`)],
    alter: ([, program, chain]) =>
      chain?.startsWith('OVERLAYNET-') === true
        ? [inEachTable(program, `-I ${chain} 1 -s 192.0.2.9 -j RETURN`)]
        : [],
  },
  {
    name: 'iptables chains',
    claims: /^(ip6?tables): :(OVERLAYNET-\S+) /,
    remove: ([, program, chain]) => [
      `for t in mangle raw filter nat; do ${program}-nft -t $t -S 2>/dev/null | sed -n 's/^-A \\(.* -j ${chain}\\)$/-D \\1/p' | xargs -r -L1 ${program}-nft -t $t; ${program}-nft -t $t -F ${chain} 2>/dev/null && ${program}-nft -t $t -X ${chain}; done; true`,
    ],
  },
  {
    name: 'nftables tables',
    claims: /^nft: table (\S+ overlaynet) \{$/,
    remove: ([, table]) => [`nft delete table ${table}`],
    alter: ([, table]) => [
      `for c in $(nft list table ${table} | sed -n "s/^.chain \\(.*\\) {/\\1/p"); do nft flush chain ${table} $c; done`,
    ],
  },
  {
    name: 'files of the agent',
    claims:
      /^files: (\/etc\/cni\/\S+\.conflist|\/run\/overlaynet\/(?:complete|agent\.sock)|\/var\/lib\/overlaynet\/checkpoint\.json)$/,
    remove: ([, path]) => [`rm ${path}`],
    alter: ([, path]) => (path?.endsWith('.sock') === true ? [] : [`echo x >> ${path}`]),
  },
];

/** A rule's line does not name its table, so that all tables are tried. */
const inEachTable = (program = '', rule: string) =>
  `for t in mangle raw filter nat; do ${program}-nft -t $t ${rule} 2>/dev/null && break; done || true`;

/** Lines that follow from others of ours, or that belong to a container or the init container. */
const derived = [
  // the kernel makes these with an address or a link
  /^routes6?: .*\bproto kernel\b/,
  /^routes6?: (local|broadcast|anycast) /,
  /^fdb: \S+ dev (m-|c-|vtep\d+ (?!dst))/,
  /^ports: /,
  /^addresses: c-/,
  // contents of a table
  /^nft: (?!table )/,
  // records and leases of containers, which the CNI plugin writes
  /^(files|contents): .*\/var\/lib\/(overlaynet\/attachments|cni\/networks)\b/,
  /^files: \/var\/lib\/cni\b/,
  /^(files|contents): .*(\/var\/lib\/overlaynet|\/run\/overlaynet|\/etc\/cni\/overlaynet\.d)$/,
  // each file is listed in `files`
  /^contents: /,
  // files of `agent install`
  /^files: \/etc\/(systemd|NetworkManager)\//,
  /^sysctls: /,
];

export interface Hand {
  /** `routes: deleted` */
  what: string;
  objects: number;
  commands: string[];
}

/**
 * Returns two changes for each kind: one deletes all its objects at once, and one changes them.
 * @param owned lines that exist because of the agent
 * @throws Error with the lines that belong to no known kind
 */
export function handsFor(owned: readonly string[]): Hand[] {
  const unknown = owned.filter(
    (line) => ![...kinds.map(({ claims }) => claims), ...derived].some((pattern) => pattern.test(line)),
  );
  if (unknown.length > 0)
    throw new Error(`no hand knows what to do to these objects: ${unknown.slice(0, 5).join('; ')}`);
  return kinds.flatMap(({ name, claims, remove, alter }) => {
    const matches = owned.map((line) => claims.exec(line)).filter((match) => match !== null);
    const hand = (how: string, commands: ((match: RegExpExecArray) => string[]) | undefined): Hand[] => {
      // some objects are listed for both address families
      const all = [...new Set(commands === undefined ? [] : matches.flatMap(commands))];
      return all.length === 0 ? [] : [{ what: `${name}: ${how}`, objects: matches.length, commands: all }];
    };
    return [...hand('deleted', remove), ...hand('altered', alter)];
  });
}

/**
 * Shell commands that make objects of other programs, as similar to ours as possible, in the tables that ours are in.
 */
export const foreign = [
  'ip link add m-mine type bridge',
  'ip link set m-mine up',
  'ip addr add 10.50.0.1/24 dev m-mine',
  'ip link add flannel.1 type vxlan id 1 dstport 8472 local 172.17.0.9 nolearning',
  'ip link set flannel.1 up',
  'ip addr add 10.60.0.1/24 dev flannel.1',
  'ip neigh add 10.60.0.2 lladdr 02:00:00:00:00:02 dev flannel.1 nud permanent',
  'bridge fdb add 02:00:00:00:00:02 dev flannel.1 dst 172.17.0.3 self permanent',
  'ip nexthop add id 7 via 10.60.0.2 dev flannel.1 protocol static',
  'ip route add 10.61.0.0/24 nhid 7 proto static',
  'ip route add 172.17.0.99 via 172.17.9.9 table 42 proto static',
  'ip rule add from 10.0.0.0/8 lookup 42 pref 142',
  'ip -6 rule add from fd77:b::/64 lookup 43 pref 142',
  'ipset create others hash:net family inet',
  'ipset add others 10.0.0.0/8',
  'iptables-nft -t mangle -A INPUT -s 10.7.0.0/16 -j ACCEPT',
  'iptables-nft -t filter -A FORWARD -s 10.8.0.0/16 -j ACCEPT',
  'nft add table bridge others',
  'nft add chain bridge others forward',
];

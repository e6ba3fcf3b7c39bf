/**
 * What overlaynet could leave behind, seen by the programs that a person would use. Each command's output is compared line by line; it is run by a
 * shell, on a node or in a network namespace.
 */
const commands: Record<string, string> = {
  links: 'ip -d -o link show',
  addresses: 'ip -o address show',
  routes: 'ip route show table all',
  routes6: 'ip -6 route show table all',
  rules: 'ip rule show',
  rules6: 'ip -6 rule show',
  neighbours: 'ip neigh show nud permanent',
  neighbours6: 'ip -6 neigh show nud permanent',
  nexthops: 'ip nexthop show',
  fdb: 'bridge fdb show',
  ports: 'bridge -d link show',
  sets: 'ipset save',
  iptables: 'iptables-nft-save',
  ip6tables: 'ip6tables-nft-save',
  legacy: 'iptables-legacy-save',
  legacy6: 'ip6tables-legacy-save',
  // tables of iptables are above
  nft: 'for t in $(nft list tables | grep -v -E "^table ip6? (filter|mangle|nat|raw)$" | sed "s/table //;s/ /:/"); do nft list table $(echo $t | tr : " "); done',
  sysctls:
    'cd /proc/sys/net && for f in ipv4/ip_forward ipv6/conf/*/forwarding bridge/* ipv4/conf/all/* ipv4/neigh/default/gc_thresh* ipv6/neigh/default/gc_thresh*; do echo "$f $(cat $f)"; done',
  files:
    'find /etc/cni /opt/cni /etc/systemd /etc/NetworkManager /etc/sysctl.d /etc/modules-load.d /var/lib/cni /var/lib/overlaynet /run/overlaynet',
  contents:
    'find /etc/cni /opt/cni/bin /var/lib/cni/networks /var/lib/overlaynet -type f -exec sha256sum {} +',
  dockerNetworks: 'docker network ls --no-trunc --format "{{.Name}} {{.Labels}}"',
};

/** A part of what is there: a line of a command's output, with the command's name. */
export type Traces = readonly string[];

/** What other programs change by themselves: kube-proxy, Docker's DNS, the kernel’s own addresses, multicast and anycast. */
const alive = /^[#:]|KUBE-|DOCKER_|^COMMIT|^\*|fe80:|multicast|anycast|^find: |^(33:33|01:00:5e):|^ff[0-9a-f]{2}::/;
/**
 * What others make and share: iptables its tables, empty, at the first look; portmap its chains, for every CNI that uses
 * it; the container runtime its cache of CNI results.
 */
const others =
  /^table ip6? (filter|mangle|nat|raw)$|CNI-HOSTPORT-|^\/var\/lib\/cni(\/results)?$|\/var\/lib\/cni\/results\/|last_reserved_ip/;

/** Without counters, timers, the numbers that a link gets when a node starts, and the blanks that align them. */
const settled = (line: string): string =>
  line
    .replace(/^\d+: /, '')
    .replace(/@\S+/, '')
    .replace(/\[\d+:\d+\]/, '')
    .replace(
      / (valid_lft|preferred_lft|expires|initval|numtxqueues|numrxqueues|link-netnsid|\w+_timer|\w+_seg_size) +\S+/g,
      '',
    )
    .replace(/\bcounter packets \d+ bytes \d+/, 'counter')
    .replace(/\s+/g, ' ')
    .trim();

/** All lines that a place shows, each with the name of the command that shows it. */
export async function tracesIn(shell: (command: string) => Promise<string>): Promise<Traces> {
  const all = await Promise.all(
    Object.entries(commands).map(async ([name, command]) => {
      // a program that is missing shows nothing, and so does find where a directory is missing
      const text = await shell(`${command} 2>/dev/null || true`);
      return text
        .split('\n')
        .filter((line) => line !== '' && !alive.test(line) && !others.test(line))
        .map((line) => `${name}: ${settled(line)}`);
    }),
  );
  return all.flat();
}

/** Lines of `now` that `before` lacks (`+`), and the reverse (`-`). A line that is there twice counts twice. */
export function difference(before: Traces, now: Traces): string[] {
  const counts = new Map<string, number>();
  for (const line of now) counts.set(line, (counts.get(line) ?? 0) + 1);
  for (const line of before) counts.set(line, (counts.get(line) ?? 0) - 1);
  return [...counts].flatMap(([line, count]) => (count === 0 ? [] : [`${count > 0 ? '+' : '-'} ${line}`]));
}

/**
 * Commands that show everything that overlaynet could leave, with the programs that a person would use. A shell runs
 * them on a node or in a network namespace, and their output is compared line by line.
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
  // learned entries belong to containers
  fdb: 'bridge fdb show | grep permanent',
  ports: 'bridge -d link show',
  sets: 'ipset save',
  iptables: 'iptables-nft-save',
  ip6tables: 'ip6tables-nft-save',
  legacy: 'iptables-legacy-save',
  legacy6: 'ip6tables-legacy-save',
  // iptables' tables are shown above
  nft: 'for t in $(nft list tables | grep -v -E "^table ip6? (filter|mangle|nat|raw)$" | sed "s/table //;s/ /:/"); do nft list table $(echo $t | tr : " "); done',
  sysctls:
    'cd /proc/sys/net && grep -H "" ipv4/ip_forward ipv6/conf/*/forwarding bridge/* ipv4/conf/all/* ipv4/neigh/default/gc_thresh* ipv6/neigh/default/gc_thresh* | sed "s/:/ /"',
  files:
    'find /etc/cni /opt/cni /etc/systemd /etc/NetworkManager /etc/sysctl.d /etc/modules-load.d /var/lib/cni /var/lib/overlaynet /run/overlaynet',
  contents:
    'find /etc/cni /opt/cni/bin /var/lib/cni/networks /var/lib/overlaynet -type f -exec sha256sum {} +',
  dockerNetworks: 'docker network ls --no-trunc --format "{{.Name}} {{.Labels}}"',
};

/** A line of a command's output, with the command's name. */
export type Traces = readonly string[];

/**
 * Lines that other programs change: kube-proxy, Docker's DNS, and the kernel's own, multicast and anycast addresses.
 */
const alive =
  /^#|^:(?!OVERLAYNET-)|KUBE-|DOCKER_|^COMMIT|^\*|fe80:|multicast|anycast|^find: |^(33:33|01:00:5e):|^ff[0-9a-f]{2}::/;
/**
 * Lines that other programs make and share: iptables makes its empty tables when they are first listed, portmap its
 * chains for every CNI that uses it, and the container runtime its cache of CNI results.
 */
const others =
  /^table ip6? (filter|mangle|nat|raw)$|CNI-HOSTPORT-|^\/var\/lib\/cni(\/results)?$|\/var\/lib\/cni\/results\/|last_reserved_ip/;

/** Removes counters, timers, the numbers that a link gets when a node starts, and the blanks that align them. */
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

/** Returns the name of the command that showed a line or a difference. */
export const shownBy = (line: string): string => /^(?:[+-] )?([^:]*)/.exec(line)?.[1] ?? '';

/**
 * Returns all lines that a place shows, each with the name of the command that shows it.
 * @param of names of the commands to run; all by default
 */
export async function tracesIn(
  shell: (command: string) => Promise<string>,
  of: ReadonlySet<string> = new Set(Object.keys(commands)),
): Promise<Traces> {
  const asked = Object.entries(commands).filter(([name]) => of.has(name));
  const all = await Promise.all(
    asked.map(async ([name, command]) => {
      // a missing program shows nothing, and find shows nothing of a missing directory
      const text = await shell(`${command} 2>/dev/null || true`);
      return text
        .split('\n')
        .filter((line) => line !== '' && !alive.test(line) && !others.test(line))
        .map((line) => `${name}: ${settled(line)}`);
    }),
  );
  return all.flat();
}

/** Returns the lines of `now` that `before` lacks (`+`), and the reverse (`-`). Repeated lines are counted. */
export function difference(before: Traces, now: Traces): string[] {
  const counts = new Map<string, number>();
  for (const line of now) counts.set(line, (counts.get(line) ?? 0) + 1);
  for (const line of before) counts.set(line, (counts.get(line) ?? 0) - 1);
  return [...counts].flatMap(([line, count]) => (count === 0 ? [] : [`${count > 0 ? '+' : '-'} ${line}`]));
}

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { nodes, onNode } from './e2e.ts';

/** Commands whose output, line by line, shows what a program leaves on a node. */
const commands = {
  links: 'ip -br link',
  addresses: 'ip -o address',
  routes: 'ip route show table all',
  routes6: 'ip -6 route show table all',
  rules: 'ip rule',
  rules6: 'ip -6 rule',
  nexthops: 'ip nexthop',
  fdb: 'bridge fdb',
  nft: 'nft list tables',
  iptables: 'iptables-save',
  ip6tables: 'ip6tables-save',
  legacy: 'iptables-legacy-save',
  legacy6: 'ip6tables-legacy-save',
  sets: 'ipset list -name',
  files: 'find /etc/cni /opt/cni /etc/systemd /var/lib/cni /var/lib/overlaynet /run/overlaynet',
};

/** Lines that kube-proxy, Docker's DNS and the machine change themselves. */
const alive = /^[#:]|KUBE-|DOCKER_|^COMMIT|^\*|fe80:|multicast|^find: /;
/**
 * Lines that other programs make and share: iptables makes its empty tables when they are first listed, portmap its
 * chains for every CNI that uses it, and the container runtime its cache of CNI results.
 */
const others = /^table ip6? (filter|mangle|nat|raw)$|CNI-HOSTPORT-|^\/var\/lib\/cni(\/results)?$/;
/** Removes counters, timers, the numbers that a link gets when a node starts, and the blanks that align them. */
const settled = (line: string) =>
  line
    .replace(/^\d+: /, '')
    .replace(/@if\d+/, '')
    .replace(/\[\d+:\d+\]/, '')
    .replace(/ (valid_lft|preferred_lft|expires) \S+/g, '')
    .replace(/\s+/g, ' ')
    .trim();

/** Returns all lines of a node, each with the command that shows it. */
async function linesOf(node: string): Promise<string[]> {
  const all = await Promise.all(
    Object.entries(commands).map(async ([name, command]) => {
      // find fails if one of the directories is missing, and ip nexthop if there are no nexthops
      const text = await onNode(node, 'sh -c', `${command} 2>/dev/null || true`);
      return text
        .split('\n')
        .filter((line) => line !== '' && !alive.test(line) && !others.test(line))
        .map((line) => `${name}: ${settled(line)}`);
    }),
  );
  return all.flat();
}

type Traces = Record<string, string[]>;
const file = () => join(dirname(process.env.OVERLAYNET_E2E ?? ''), 'before.json');

const traces = async (): Promise<Traces> =>
  Object.fromEntries(await Promise.all(nodes.map(async (node) => [node, await linesOf(node)] as const)));

/** Records the state of the nodes before anything is installed. */
export async function rememberNodes(): Promise<void> {
  writeFileSync(file(), JSON.stringify(await traces()));
}

/** Returns the lines of each node that were not there when the nodes were recorded. */
export async function newOnNodes(): Promise<Traces> {
  const before = JSON.parse(readFileSync(file(), 'utf8')) as Traces;
  const now = await traces();
  return Object.fromEntries(
    Object.entries(now).map(([node, lines]) => [node, lines.filter((line) => !before[node]?.includes(line))]),
  );
}

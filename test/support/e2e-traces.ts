import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { nodes, onNode } from './e2e.ts';

/** Commands whose output, line by line, is what something on a node leaves behind. */
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

/** What kube-proxy, Docker's DNS and the machine change by themselves. */
const alive = /^[#:]|KUBE-|DOCKER_|^COMMIT|^\*|fe80:|multicast|^find: /;
/**
 * What others make and share: iptables its tables, empty, at the first look; portmap its chains, for every CNI that uses
 * it; the container runtime its cache of CNI results.
 */
const others = /^table ip6? (filter|mangle|nat|raw)$|CNI-HOSTPORT-|^\/var\/lib\/cni(\/results)?$/;
/** Without counters, timers, and the numbers that a link gets when a node starts, nor the blanks that align them. */
const settled = (line: string) =>
  line
    .replace(/^\d+: /, '')
    .replace(/@if\d+/, '')
    .replace(/\[\d+:\d+\]/, '')
    .replace(/ (valid_lft|preferred_lft|expires) \S+/g, '')
    .replace(/\s+/g, ' ')
    .trim();

/** All lines of a node, each with the command that shows it. */
async function linesOf(node: string): Promise<string[]> {
  const all = await Promise.all(
    Object.entries(commands).map(async ([name, command]) => {
      // find fails where one of the directories isn't there, ip nexthop where there is none
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

/** Writes down what is on the nodes before anything is installed. */
export async function rememberNodes(): Promise<void> {
  writeFileSync(file(), JSON.stringify(await traces()));
}

/** What is on each node now and was not then. */
export async function newOnNodes(): Promise<Traces> {
  const before = JSON.parse(readFileSync(file(), 'utf8')) as Traces;
  const now = await traces();
  return Object.fromEntries(
    Object.entries(now).map(([node, lines]) => [node, lines.filter((line) => !before[node]?.includes(line))]),
  );
}

import { messageOf } from '../../src/error.ts';
import { command } from '../parts/command.ts';
import { addressesOf, apiAddress, hub, namespaceOf, UserError, type Lab } from './lab.ts';
import { end, leaderOf, processesOf, start, until } from './processes.ts';

/**
 * A lab is sealed: its namespaces have links only to each other, none to the machine's own namespace, and no default
 * route. The hub has the underlay's bridge, which connects the API server and the nodes.
 */

/** Alias of the loopback link in a lab's namespaces, by which they are recognised. */
const owned = 'overlaynet-lab';

const batch = (namespace: string, lines: string[]) =>
  command('ip', ['-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });

async function add(namespace: string, lines: string[]): Promise<void> {
  try {
    await command('ip', ['netns', 'add', namespace]);
  } catch (error) {
    throw new UserError(`network namespace ${namespace}: ${messageOf(error)}`);
  }
  await batch(namespace, [`link set lo alias ${owned}`, 'link set lo up', ...lines]);
}

export async function addHub(lab: Lab): Promise<void> {
  await add(hub(lab), [
    // a fixed address; otherwise it changes with every port and peers' neighbour entries become stale
    'link add underlay address 02:00:ac:11:00:01 type bridge',
    `addr add ${apiAddress}/16 dev underlay`,
    'addr add fd00:172:17::1/64 dev underlay nodad',
    'link set underlay up',
  ]);
}

/**
 * A node's own file systems. /etc, /opt and /var/lib show the machine's files with the node's changes on top, /run is
 * empty, and /sys shows the node's links. As slave mounts they do not hold later mounts of the machine; the node's own
 * mounts stay in the node.
 */
const ownFiles = `
set -e
mount -t tmpfs -o mode=755 overlaynet-lab /run
mkdir -p /run/.upper/etc /run/.work/etc /run/.upper/opt /run/.work/opt /run/.upper/lib /run/.work/lib /run/lock
mount -t overlay -o lowerdir=/etc,upperdir=/run/.upper/etc,workdir=/run/.work/etc overlaynet-lab /etc
mount -t overlay -o lowerdir=/opt,upperdir=/run/.upper/opt,workdir=/run/.work/opt overlaynet-lab /opt
mount -t overlay -o lowerdir=/var/lib,upperdir=/run/.upper/lib,workdir=/run/.work/lib overlaynet-lab /var/lib
rm -rf /etc/cni /var/lib/cni /var/lib/overlaynet
mkdir -p /etc/cni/net.d /var/lib/cni
mount -t sysfs overlaynet-lab /sys
exec sleep infinity
`;

const holder = (node: string) => `namespace-${node}`;

/** Makes a node's network and mount namespace and connects it to the hub. */
export async function addNamespace(lab: Lab, node: string): Promise<void> {
  const namespace = namespaceOf(lab, node);
  const [ip, ip6] = addressesOf(node);
  await add(namespace, []);
  await batch(hub(lab), [
    `link add ${node} type veth peer name eth0 netns ${namespace}`,
    `link set ${node} master underlay up`,
  ]);
  await batch(namespace, [
    `addr add ${ip}/16 dev eth0`,
    `addr add ${ip6}/64 dev eth0 nodad`,
    'link set eth0 up',
  ]);
  const unshare = ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', ownFiles];
  const pid = start(lab, holder(node), ['nsenter', `--net=/run/netns/${namespace}`, ...unshare], { node });
  // the namespace is ready when the shell has become sleep
  await until(
    `mount namespace of ${node}`,
    async () => ((await command('cat', [`/proc/${pid}/comm`])).trim() === 'sleep' ? pid : undefined),
    { lab, roles: [holder(node)] },
  );
}

/** Returns the names of the existing nodes, by number. */
export function nodesOf(lab: Lab): string[] {
  const nodes = processesOf(lab)
    .filter((one) => one.role === holder(one.node))
    .map((one) => one.node);
  return [...new Set(nodes)].sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)));
}

/** Returns the pid of the process that holds a node's namespaces. Throws UserError if the node does not exist. */
export function holderOf(lab: Lab, node: string): number {
  const found = leaderOf(lab, holder(node));
  if (!found) {
    throw new UserError(
      `lab ${lab.name} has no node "${node}"; it has: ${nodesOf(lab).join(', ') || 'none'}`,
    );
  }
  return found.pid;
}

/** Returns the start of a command line that runs the rest of it in the node. */
export function inNode(lab: Lab, node: string): string[] {
  return ['nsenter', '--target', String(holderOf(lab, node)), '--mount', '--net'];
}

/** Returns the path of a node's file, seen from outside; valid while the node exists. */
export function pathInNode(lab: Lab, node: string, path: string): string {
  return `/proc/${holderOf(lab, node)}/root${path}`;
}

export async function removeNamespace(lab: Lab, node: string): Promise<void> {
  await end(lab, { node }, 'SIGKILL');
  await command('ip', ['netns', 'del', namespaceOf(lab, node)]);
}

/**
 * Returns the names of all network namespaces of the lab. Throws UserError for one that has the lab's name without its
 * mark.
 */
async function namespacesOf(lab: Lab): Promise<string[]> {
  const list = JSON.parse((await command('ip', ['-j', 'netns', 'list'])) || '[]') as { name: string }[];
  const pattern = new RegExp(`^${lab.name}-(hub|node[0-9]+)$`);
  const names = list.map((one) => one.name).filter((name) => pattern.test(name));
  for (const name of names) {
    const link = await command('ip', ['-n', name, 'link', 'show', 'dev', 'lo']);
    if (!link.includes(`alias ${owned}`)) {
      throw new UserError(
        `network namespace ${name} is not a lab's: take another name (--name), or ip netns del ${name}`,
      );
    }
  }
  return names;
}

/** Removes all of a lab's namespaces. Its processes must have ended. */
export async function removeNamespaces(lab: Lab): Promise<string[]> {
  const names = await namespacesOf(lab);
  await Promise.all(names.map((name) => command('ip', ['netns', 'del', name])));
  return names;
}

import { readFileSync, writeFileSync } from 'node:fs';
import type { Log } from '../log.ts';
import { CommandError, run as runProgram, type Run } from './run.ts';

/** A switch of the kernel that must be 1, and what happens otherwise. */
interface Switch {
  /** Below /proc/sys. */
  path: string;
  otherwise: string;
  /** The module that brings it; without one the switch is absent where there is nothing to switch (no IPv6). */
  module?: string;
}

const switches: Record<'bridge' | 'marks' | 'forwarding', Switch[]> = {
  // before forwarding: it is harmless without, and forwarding without it is half a data path
  bridge: ['iptables', 'ip6tables'].map((program) => ({
    path: `net/bridge/bridge-nf-call-${program}`,
    otherwise: 'a Service whose endpoint is on the bridge of its client does not answer',
    module: 'br_netfilter',
  })),
  // strict rp_filter looks for the way back by the packet's mark as well
  marks: [
    {
      path: 'net/ipv4/conf/all/src_valid_mark',
      otherwise: "where rp_filter is 1, a node's own processes do not reach other nodes' NodePorts",
    },
  ],
  forwarding: ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'].map((path) => ({
    path,
    otherwise: 'packets of containers are not forwarded',
  })),
};

/** What the data path uses; each may as well be built in. */
const modules = [
  'vxlan',
  'bridge',
  'veth',
  'br_netfilter',
  'nf_tables',
  'nft_compat',
  'nf_conntrack',
  'nf_conntrack_netlink',
  'ip_set',
  'ip_set_hash_net',
  'xt_set',
  'xt_CT',
  'xt_MASQUERADE',
  'xt_addrtype',
  'xt_comment',
  'xt_connmark',
  'xt_conntrack',
  'xt_mark',
  'xt_owner',
  'xt_tcpudp',
  'ipt_rpfilter',
  'ip6t_rpfilter',
];

const name = (path: string): string => path.replaceAll('/', '.');

/** undefined where there is none. */
function read(path: string, root: string): string | undefined {
  try {
    return readFileSync(`${root}/${path}`, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What of the system is not as the data path needs it, in plain words; empty where all is well. Changes nothing. */
export function switchedOff(root = '/proc/sys'): string[] {
  return [...switches.forwarding, ...switches.bridge, ...switches.marks].flatMap(
    ({ path, otherwise, module }) => {
      const value = read(path, root);
      if (value === '0') return [`${name(path)} is 0: ${otherwise}; set it to 1`];
      if (value !== undefined || module === undefined) return [];
      return [`${name(path)} does not exist: ${otherwise}; load the module ${module}`];
    },
  );
}

/**
 * What a node needs before its agent starts: kernel modules, as far as they can be loaded, and the switches above.
 * Needs root, and a writable /proc/sys.
 * @throws Error with what could not be done and matters
 */
export async function installSystem(log: Log, run: Run = runProgram, root = '/proc/sys'): Promise<void> {
  await loadModules(log, run);
  for (const problem of switchOn([...switches.bridge, ...switches.marks], log, root)) log.warn(problem);
  const advertised = await keepAdvertisedRoutes(log, run, root);
  // forwarding would take the node's default route from it
  const wanted = switches.forwarding.filter(
    ({ path }) => advertised.length === 0 || !path.startsWith('net/ipv6'),
  );
  const problems = [...advertised, ...switchOn(wanted, log, root)];
  if (problems.length > 0) throw new Error(problems.join('; '));
  for (const problem of switchedOff(root)) log.warn(problem);
}

async function loadModules(log: Log, run: Run): Promise<void> {
  const missing: string[] = [];
  const words = new Set<string>();
  for (const module of modules) {
    try {
      const { code, stderr } = await run('modprobe', [module]);
      if (code === 0) continue;
      missing.push(module);
      words.add(stderr.trim().replaceAll(module, 'MODULE'));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      log.info('modules cannot be loaded from here; they may be built in', { error });
      return;
    }
  }
  if (missing.length === 0) return;
  log.info('modules not loaded; they may be built in', {
    modules: missing.join(','),
    words: [...words].join('; '),
  });
}

/** Returns what could not be done. */
function switchOn(which: Switch[], log: Log, root: string): string[] {
  return which.flatMap(({ path }) => (read(path, root) === '0' ? write(path, '1', log, root) : []));
}

function write(path: string, value: string, log: Log, root: string): string[] {
  try {
    writeFileSync(`${root}/${path}`, `${value}\n`);
    log.info('sysctl set', { name: name(path), value: Number(value) });
    return [];
  } catch (error) {
    return [`${name(path)} cannot be set to ${value}: ${(error as Error).message}`];
  }
}

/**
 * A kernel that forwards drops the default routes that routers advertise, unless told to keep them by accept_ra=2 before.
 * Where accept_ra is 0 another program (systemd-networkd) listens to the routers and keeps the route. Returns what
 * could not be done.
 */
async function keepAdvertisedRoutes(log: Log, run: Run, root: string): Promise<string[]> {
  if (read('net/ipv6/conf/all/forwarding', root) === undefined) return [];
  const args = ['-6', '-j', 'route', 'show', 'default'];
  const { code, stdout, stderr } = await run('ip', args);
  if (code !== 0) return [`ip ${args.join(' ')}: ${stderr.trim() || `exit status ${code}`}`];
  return advertisedOn(stdout).flatMap((link) => {
    const path = `net/ipv6/conf/${link}/accept_ra`;
    return read(path, root) === '1' ? write(path, '2', log, root) : [];
  });
}

interface Route {
  protocol?: string;
  dev?: string;
  nexthops?: { dev?: string }[];
}

/** From `ip -6 -j route show default`: links with a default route that a router advertised. */
function advertisedOn(text: string): string[] {
  const routes = (text.trim() === '' ? [] : JSON.parse(text)) as Route[];
  const links = routes
    .filter(({ protocol }) => protocol === 'ra')
    .flatMap(({ dev, nexthops = [] }) => [dev, ...nexthops.map((hop) => hop.dev)]);
  return [...new Set(links.filter((link) => link !== undefined))];
}

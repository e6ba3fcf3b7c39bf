import { release } from 'node:os';
import type { Log } from '../log.ts';
import { loadModules, type KernelFiles } from './modules.ts';
import { raiseNeighbourLimits } from './neighbours.ts';
import { run as runProgram, whyFailed, type Run } from './run.ts';
import { readSysctl, sysctlName, setSysctl } from './sysctl.ts';

/** A kernel switch that must be 1, and the consequence if it is not. */
interface Switch {
  /** Path below /proc/sys. */
  path: string;
  otherwise: string;
  /** The module that provides it. A switch without one is absent if it has nothing to control (no IPv6). */
  module?: string;
}

const switches: Record<'bridge' | 'marks' | 'forwarding', Switch[]> = {
  // set before forwarding: these are harmless alone, and forwarding without them is half a data path
  bridge: ['iptables', 'ip6tables'].map((program) => ({
    path: `net/bridge/bridge-nf-call-${program}`,
    otherwise: 'a Service whose endpoint is on the bridge of its client does not answer',
    module: 'br_netfilter',
  })),
  // strict rp_filter must use the packet's mark when it looks up the way back
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

/** Describes what of the system differs from what the data path needs; empty if all is well. Changes nothing. */
export function switchedOff(root = '/proc/sys'): string[] {
  const all = [...switches.forwarding, ...switches.bridge, ...switches.marks];
  return all.flatMap(({ path, otherwise, module }) => {
    const value = readSysctl(path, root);
    if (value === '0') return [`${sysctlName(path)} is 0: ${otherwise}; set it to 1`];
    if (value !== undefined || module === undefined) return [];
    return [`${sysctlName(path)} does not exist: ${otherwise}; load the module ${module}`];
  });
}

/**
 * Prepares a node before its agent starts: kernel modules, the switches above, and room for neighbours. Needs root
 * and a writable /proc/sys.
 * @throws Error with everything important that failed
 */
export async function installSystem(
  log: Log,
  run: Run = runProgram,
  root = '/proc/sys',
  kernel: KernelFiles = { release: release(), modules: '/lib/modules', sys: '/sys' },
): Promise<void> {
  const missing = await loadModules(log, run, kernel);
  const warn = (problem: string) => {
    const object = problem.replace(/ .*/s, '');
    log.warn('a sysctl is not as the data path needs it', {
      object,
      command: `sysctl ${object}`,
      output: problem,
    });
  };
  switchOn([...switches.bridge, ...switches.marks], log, root).forEach(warn);
  const advertised = await keepAdvertisedRoutes(log, run, root);
  // leaves out the switches that would take the node's default route away
  const wanted = switches.forwarding.filter(
    ({ path }) => advertised.length === 0 || !path.startsWith('net/ipv6'),
  );
  raiseNeighbourLimits(log, root).forEach(warn);
  const problems = [...missing, ...advertised, ...switchOn(wanted, log, root)];
  if (problems.length > 0) throw new Error(problems.join('; '));
  switchedOff(root).forEach(warn);
}

/** Sets the switches. Returns what failed. */
function switchOn(which: Switch[], log: Log, root: string): string[] {
  return which.flatMap(({ path }) => (readSysctl(path, root) === '0' ? setSysctl(path, '1', log, root) : []));
}

/**
 * Keeps default routes that routers advertise: a kernel that forwards drops them unless accept_ra=2 was set before.
 * Where accept_ra is 0, another program (systemd-networkd) listens to the routers and keeps the route. Returns what
 * failed.
 */
async function keepAdvertisedRoutes(log: Log, run: Run, root: string): Promise<string[]> {
  if (readSysctl('net/ipv6/conf/all/forwarding', root) === undefined) return [];
  const args = ['-6', '-j', 'route', 'show', 'default'];
  const { code, stdout, stderr } = await run('ip', args);
  if (code !== 0) return [`ip ${args.join(' ')}: ${whyFailed({ stderr, code })}`];
  return advertisedOn(stdout).flatMap((link) => {
    const path = `net/ipv6/conf/${link}/accept_ra`;
    return readSysctl(path, root) === '1' ? setSysctl(path, '2', log, root) : [];
  });
}

interface Route {
  protocol?: string;
  dev?: string;
  nexthops?: { dev?: string }[];
}

/** Parses `ip -6 -j route show default`: links with a default route that a router advertised. */
function advertisedOn(text: string): string[] {
  const routes = (text.trim() === '' ? [] : JSON.parse(text)) as Route[];
  const links = routes
    .filter(({ protocol }) => protocol === 'ra')
    .flatMap(({ dev, nexthops = [] }) => [dev, ...nexthops.map((hop) => hop.dev)]);
  return [...new Set(links.filter((link) => link !== undefined))];
}

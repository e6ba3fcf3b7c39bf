import { alias } from '../dataplane/ownership.ts';
import { familyOf } from '../net/address.ts';
import { run as runProgram, type Run } from './run.ts';

interface Link {
  ifname: string;
  mtu: number;
  flags?: string[];
  ifalias?: string;
  linkinfo?: { info_kind?: string };
  addr_info?: { local?: string }[];
}

interface Route {
  type?: string;
  dev?: string;
  gateway?: string;
  via?: object;
  metrics?: { mtu?: number }[];
  nexthops?: { dev?: string; gateway?: string; via?: object }[];
}

/**
 * This many peers show by which links the others are reached too. Asking for thousands at every pass costs too much.
 */
const sample = 64;

/** Kinds of links that hold addresses but carry no packets. A VRF's packets leave by the links below it. */
const carryNothing = new Set(['dummy', 'vrf']);

/**
 * Whether packets leave the node by the link. Our own tunnels and bridges do not count, because their packets leave
 * by another.
 */
const leadsOut = ({ flags = [], ifalias, linkinfo }: Link): boolean =>
  !flags.includes('LOOPBACK') && ifalias !== alias && !carryNothing.has(linkinfo?.info_kind ?? '');

/**
 * Finds how many bytes packets from these addresses to other nodes may have: the smallest MTU of the links by which
 * they leave, or of a route with a smaller one. A node's address need not be on such a link; with BGP to the host it
 * is on `lo`. For each address the links are, in this order: those of the routes to peers; the link that has the
 * address; those of the default route, else of any route by a router.
 * @param peers addresses of other nodes, as far as known
 * @throws Error naming an address that no link of this machine has, or from which no route leads out; CommandError
 * where `ip` cannot be run
 */
export async function uplinkMTU(
  addresses: readonly string[],
  peers: readonly string[],
  run: Run = runProgram,
): Promise<number> {
  const links = JSON.parse(await ip(run, ['-j', '-d', 'address', 'show'])) as Link[];
  const mtus: number[] = [];
  for (const address of addresses) {
    const holder = links.find(({ addr_info }) => addr_info?.some(({ local }) => local === address));
    if (holder === undefined) throw new Error(`no link of this node has the address ${address}`);
    const toPeers = bytesOf(links, await routesFrom(address, peers, run));
    if (toPeers.length > 0) mtus.push(...toPeers);
    else if (leadsOut(holder)) mtus.push(holder.mtu);
    else mtus.push(...(await byRouters(address, holder.ifname, links, run)));
  }
  return Math.min(...mtus);
}

async function byRouters(address: string, holder: string, links: Link[], run: Run): Promise<number[]> {
  const routes = parse(
    await ip(run, [`-${familyOf(address)}`, '-j', '-d', 'route', 'show', 'table', 'main']),
  );
  const defaults = bytesOf(
    links,
    routes.filter(({ dst }) => dst === 'default'),
  );
  const found = defaults.length > 0 ? defaults : bytesOf(links, routes.filter(hasRouter));
  if (found.length > 0) return found;
  throw new Error(
    `the address ${address} is on ${holder}, by which no packet leaves, and no route leads from it to other nodes: ` +
      'their tunnels would have no link',
  );
}

const hasRouter = ({ gateway, via, nexthops = [] }: Route): boolean =>
  [{ gateway, via }, ...nexthops].some((hop) => hop.gateway !== undefined || hop.via !== undefined);

/** The kernel's routes for packets from that source; unreachable peers have none. */
async function routesFrom(address: string, peers: readonly string[], run: Run): Promise<Route[]> {
  const asked = spread(peers.filter((peer) => peer !== address && familyOf(peer) === familyOf(address)));
  if (asked.length === 0) return [];
  // `fibmatch` shows the whole route with every next hop, not only the next hop of a packet without ports
  const lines = asked.map((peer) => `route get fibmatch ${peer} from ${address}\n`);
  const { stdout } = await run('ip', ['-force', '-j', '-d', '-batch', '-'], { input: lines.join('') });
  return stdout
    .split('\n')
    .filter((line) => line.trim() !== '')
    .flatMap(parse);
}

/** Chooses a sample of peers, the same sample for the same peers. */
function spread(peers: readonly string[]): string[] {
  const sorted = [...new Set(peers)].sort();
  const step = Math.max(1, sorted.length / sample);
  return Array.from(
    { length: Math.min(sample, sorted.length) },
    (_, at) => sorted[Math.floor(at * step)] ?? '',
  );
}

function bytesOf(links: Link[], routes: Route[]): number[] {
  return routes.flatMap(({ dev, nexthops = [], metrics = [] }) => {
    const names = new Set([dev, ...nexthops.map((hop) => hop.dev)]);
    const used = links.filter((link) => names.has(link.ifname) && leadsOut(link)).map(({ mtu }) => mtu);
    const ofRoute = metrics.flatMap(({ mtu }) => (mtu === undefined || mtu === 0 ? [] : [mtu]));
    return used.length === 0 ? [] : [Math.min(...used, ...ofRoute)];
  });
}

const parse = (json: string) => JSON.parse(json.trim() === '' ? '[]' : json) as (Route & { dst?: string })[];

async function ip(run: Run, args: string[]): Promise<string> {
  const { stdout, stderr, code } = await run('ip', args);
  if (code !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

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

/** So many peers show by which links the others are reached too; asking for each of thousands at every pass costs. */
const sample = 64;

/** Links that carry addresses and no packets; a VRF's own device is one beside them. */
const carryNothing = new Set(['dummy', 'vrf']);

/** Our own tunnel and bridges are not it: what they carry leaves by another. */
const leadsOut = ({ flags = [], ifalias, linkinfo }: Link): boolean =>
  !flags.includes('LOOPBACK') && ifalias !== alias && !carryNothing.has(linkinfo?.info_kind ?? '');

/**
 * Bytes that the links carry by which packets leave from these addresses to other nodes: the smallest MTU of them, or
 * of a route where that says less. A node's address need not be on such a link: with BGP to the host it is on `lo`.
 * By address the links are, in this order: those of the routes to peers; the one that has the address; those of the
 * default route, else of any route by a router.
 * @param peers addresses of other nodes, as far as known
 * @throws Error naming an address that no link of this machine has, or from which nothing leads out; CommandError
 *   where `ip` cannot be run
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

/** As the kernel has them for packets with that source; peers that nothing leads to have none. */
async function routesFrom(address: string, peers: readonly string[], run: Run): Promise<Route[]> {
  const asked = spread(peers.filter((peer) => peer !== address && familyOf(peer) === familyOf(address)));
  if (asked.length === 0) return [];
  // the whole route, with every next hop, rather than the one next hop that a packet of no port would take
  const lines = asked.map((peer) => `route get fibmatch ${peer} from ${address}\n`);
  const { stdout } = await run('ip', ['-force', '-j', '-d', '-batch', '-'], { input: lines.join('') });
  return stdout
    .split('\n')
    .filter((line) => line.trim() !== '')
    .flatMap(parse);
}

/** The same of them each time that the same are there. */
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

import type { HostRange } from '../api/types.ts';
import { isReserved } from '../api/validate.ts';
import { agentTable, alias, protocol } from '../dataplane/ownership.ts';
import { familyOf } from '../net/address.ts';
import { cidrOf, formatCidr, parseCidr, parseInterface } from '../net/cidr.ts';
import { linkPrefix } from '../net/name.ts';
import { dump, isWhole } from './dump.ts';
import { run as runProgram, whyFailed, type Run } from './run.ts';

/** What a host has beside overlaynet's own, unsorted. */
export interface HostSpace {
  ranges: HostRange[];
  /** Of links, without length. */
  addresses: string[];
}

interface LinkJSON {
  ifname: string;
  flags?: string[];
  ifalias?: string;
  linkinfo?: { info_kind?: string };
  addr_info?: { local?: string; prefixlen: number; scope?: string }[];
}

interface RouteJSON {
  dst: string;
  dev?: string;
  table?: string;
  protocol?: string;
  gateway?: string;
  via?: object;
  nexthops?: { dev?: string; gateway?: string; via?: object }[];
}

/** On these links are the addresses of Services, which are no node's: kube-proxy's IPVS mode, kube-router, node-local DNS. */
const ofServices = new Set(['kube-ipvs0', 'kube-dummy-if', 'nodelocaldns']);

/** The names that our own bridges and tunnels have, also those that Docker makes, and ours before we marked them. */
const ownNames: Record<string, RegExp> = {
  bridge: new RegExp(`^(${linkPrefix.cni}|${linkPrefix.docker})`),
  vxlan: new RegExp(`^${linkPrefix.tunnel}[0-9]+$`),
};

const isOurs = ({ ifname, ifalias, linkinfo }: LinkJSON): boolean =>
  ifalias === alias || ownNames[linkinfo?.info_kind ?? '']?.test(ifname) === true;

/** A link's name as the CRD of OverlayAgents takes it: Linux allows nearly every character. */
const plain = (name: string): string => name.replace(/[^A-Za-z0-9._:@%+=~-]/g, '_').slice(0, 15);

const scopes = new Set(['0', 'global']);

/**
 * Subnets of links, routes of every table, and addresses. Left out are overlaynet's own, the addresses of Services, the
 * default route, and where no overlay can be (loopback, link-local, multicast). A route that refuses (`unreachable`,
 * `blackhole`) reaches nothing that an overlay could take away.
 * @throws CommandError, Error with what `ip` said
 */
export async function hostSpace(run: Run = runProgram): Promise<HostSpace> {
  const [linkText, routeText] = await Promise.all([
    ip(run, ['-j', '-d', 'address', 'show']),
    ip(run, ['-N', '-j', 'route', 'show', 'table', 'all', 'type', 'unicast']),
  ]);
  const all = parse<LinkJSON>(linkText);
  const links = all.filter((link) => !isOurs(link) && !ofServices.has(link.ifname));
  const foreign = new Map(links.map((link) => [link.ifname, link]));
  const held = links.flatMap(addressesOn);
  const ranges = [
    ...held.map(({ cidr, link }): HostRange => ({ cidr, kind: 'Subnet', link })),
    ...parse<RouteJSON>(routeText).flatMap((route) => rangesOf(route, foreign)),
  ];
  return {
    ranges: ranges
      .filter(({ cidr }) => !isReserved(parseCidr(cidr)))
      .map((range) => ({ ...range, link: plain(range.link ?? '') })),
    addresses: held.map(({ address }) => address).filter((address) => !isReserved(parseCidr(whole(address)))),
  };
}

function addressesOn({ ifname, addr_info = [] }: LinkJSON) {
  return addr_info.flatMap(({ local, prefixlen, scope = '' }) => {
    if (local === undefined || !scopes.has(scope)) return [];
    const { address, length } = parseInterface(`${local}/${prefixlen}`);
    return [{ address: local, cidr: formatCidr(cidrOf(address, length)), link: ifname }];
  });
}

function rangesOf(route: RouteJSON, foreign: ReadonlyMap<string, LinkJSON>): HostRange[] {
  const { dst, table, protocol: owner, nexthops = [] } = route;
  if (dst === 'default' || Number(owner) === protocol || Number(table) === agentTable) return [];
  for (const hop of [route, ...nexthops]) {
    const link = foreign.get(hop.dev ?? '');
    if (link === undefined) continue;
    const beyond = hop.gateway !== undefined || hop.via !== undefined || !isShared(link);
    return [{ cidr: whole(dst), kind: beyond ? 'Route' : 'Subnet', link: link.ifname }];
  }
  return [];
}

/** On a link with broadcasts neighbours are reached straight; on others, such as WireGuard's, there is one, who routes. */
const isShared = ({ flags = [] }: LinkJSON): boolean => flags.includes('BROADCAST');

const whole = (text: string): string =>
  text.includes('/') ? text : `${text}/${familyOf(text) === 4 ? 32 : 128}`;

const parse = <T>(json: string) => JSON.parse(json.trim() === '' ? '[]' : json) as T[];

async function ip(run: Run, args: string[]): Promise<string> {
  const result = await dump(run, 'ip', args);
  const { stdout, stderr, code } = result;
  if (code === 0 && isWhole(result)) return stdout;
  throw new Error(`ip ${args.join(' ')}: ${whyFailed({ stderr, code })}`);
}

import { alias, mainTable, protocol } from '../dataplane/ownership.ts';
import { rulePriorities } from '../dataplane/rules.ts';
import {
  routeKey,
  type ObservedLink,
  type ObservedNexthop,
  type Route,
  type Vxlan,
} from '../dataplane/state.ts';

/** A link from `ip -j -N`, where protocols and tables are numbers, whatever names /etc/iproute2 gives them. */
interface LinkJSON {
  ifname: string;
  flags: string[];
  mtu: number;
  address?: string;
  ifalias?: string;
  master?: string;
  linkinfo?: {
    info_kind?: string;
    info_data?: {
      id?: number;
      port?: number;
      local?: string;
      local6?: string;
      learning?: boolean;
      no_linklocal_learn?: number;
    };
    info_slave_data?: { hairpin?: boolean };
  };
  addr_info?: { local?: string; prefixlen: number }[];
}

/** Parses `ip -N -j -d address show`. */
export function parseLinks(json: string): Map<string, ObservedLink> {
  const links = JSON.parse(json) as LinkJSON[];
  return new Map(links.map((link) => [link.ifname, parseLink(link)]));
}

function parseLink(link: LinkJSON): ObservedLink {
  const { info_kind: kind = 'link', info_data: data, info_slave_data: port } = link.linkinfo ?? {};
  const vxlan: Vxlan = {
    vni: data?.id ?? 0,
    port: data?.port ?? 0,
    local: data?.local ?? data?.local6 ?? '',
    learning: data?.learning ?? false,
  };
  return {
    name: link.ifname,
    ours: link.ifalias === alias,
    kind,
    mtu: link.mtu,
    mac: link.address ?? '',
    up: link.flags.includes('UP'),
    ...(kind === 'vxlan' ? { vxlan } : {}),
    ...(kind === 'bridge' ? { noControlLearning: data?.no_linklocal_learn === 1 } : {}),
    ...(link.master === undefined ? {} : { master: link.master, hairpin: port?.hairpin === true }),
    addresses: (link.addr_info ?? []).flatMap(({ local, prefixlen }) =>
      local === undefined ? [] : [`${local}/${prefixlen}`],
    ),
  };
}

/** Parses `ip -N -j neigh show dev TUNNEL`. */
export function parseNeighbours(json: string): Map<string, { mac: string; permanent: boolean }> {
  const neighbours = JSON.parse(json) as { dst: string; lladdr?: string; state?: string[] }[];
  return new Map(
    neighbours.map(({ dst, lladdr = '', state }) => [
      dst,
      { mac: lladdr, permanent: state?.includes('PERMANENT') === true },
    ]),
  );
}

/** Parses `bridge -j fdb show dev TUNNEL`. A unicast MAC of a VXLAN link has one destination. */
export function parseFDB(json: string): Map<string, { to: string; permanent: boolean }> {
  const entries = JSON.parse(json) as {
    mac: string;
    dst?: string;
    state?: string;
    port?: number;
    vni?: number;
  }[];
  return new Map(
    entries.map(({ mac, dst = '', state, port, vni }) => [
      mac,
      // an entry with another port or VNI than the link's own leads to no destination that we know
      { to: port === undefined && vni === undefined ? dst : '', permanent: state === 'permanent' },
    ]),
  );
}

/** Parses `ip -N -j nexthop show`. */
export function parseNexthops(json: string): Map<number, ObservedNexthop> {
  const nexthops = JSON.parse(json) as { id: number; gateway?: string; dev?: string; protocol?: string }[];
  return new Map(
    nexthops.map(({ id, gateway = '', dev = '', protocol: owner }) => [
      id,
      { ours: Number(owner) === protocol, via: gateway, link: dev },
    ]),
  );
}

interface RouteJSON {
  dst: string;
  table?: string;
  metric?: number;
  nhid?: number;
  /** Absent of a route that leads somewhere. */
  type?: string;
}

/** RTN_UNREACHABLE of linux/rtnetlink.h, as `ip -N` prints it. */
const unreachable = '7';

/** Parses `ip -N -j route show table all proto 142`: our routes of both families. */
export function parseRoutes(json: string): Map<string, Route> {
  const routes = new Map<string, Route>();
  for (const { dst, table = mainTable, metric = 0, nhid, type } of JSON.parse(json) as RouteJSON[]) {
    const route: Route = {
      to: dst,
      table: Number(table),
      metric,
      ...(nhid === undefined ? {} : { nexthop: nhid }),
      // of ours those without a nexthop are unreachable, and no others
      ...(nhid === undefined && type !== unreachable ? { altered: true } : {}),
    };
    routes.set(routeKey(route), route);
  }
  return routes;
}

interface RuleJSON {
  src?: string;
  srclen?: number;
  dst?: string;
  dstlen?: number;
  fwmark?: string;
  fwmask?: string;
  table?: string;
  priority?: number;
  protocol?: string;
}

/** Parses `ip -N -j rule show` or `ip -6 …` and returns our rules, in the form that `ip rule` takes. */
export function parseRules(json: string): Set<string> {
  const own = (JSON.parse(json) as RuleJSON[]).filter(
    (rule) => Number(rule.protocol) === protocol && rulePriorities.has(rule.priority ?? 0),
  );
  return new Set(own.map(ruleText));
}

/** Renders a rule. Absent parts are left out, and so is a source of `all`. */
const ruleText = ({ src, srclen, dst, dstlen, fwmark, fwmask, table = '', priority }: RuleJSON): string =>
  [
    ...(src === undefined || src === 'all' ? [] : [`from ${range(src, srclen)}`]),
    ...(dst === undefined ? [] : [`to ${range(dst, dstlen)}`]),
    ...(fwmark === undefined ? [] : [`fwmark ${fwmark}${fwmask === undefined ? '' : `/${fwmask}`}`]),
    `lookup ${table} pref ${priority}`,
  ].join(' ');

const range = (address: string, length: number | undefined): string =>
  length === undefined ? address : `${address}/${length}`;

import { familyOf, parseAddress, type Family } from '../net/address.ts';
import { cidrOf, containsAddress, formatCidr, parseCidr, type Cidr } from '../net/cidr.ts';
import { emptyPlan, type KernelPlan } from './change.ts';
import { permits } from './isolation.ts';
import type { Policy } from './policy.ts';
import type { Observed } from './state.ts';

/** A connection as conntrack knows it. */
export interface Flow {
  /** Number of the IP protocol. */
  protocol: number;
  /** The address that began the connection. */
  from: string;
  fromPort?: number;
  /** The address that it asked for, perhaps a Service's. */
  to: string;
  toPort?: number;
  /** The address that answers. */
  server: string;
  serverPort?: number;
}

/**
 * A set that exists while connections may still be open that are no longer allowed. It survives a restart of the
 * agent.
 */
const unflushed = 'overlaynet-unflushed';

/**
 * Re-checks connections when rules change, an allowed set shrinks or a guarded set grows. New nodes and looser rules
 * are no reason.
 */
export const mustFlush = (plan: KernelPlan, rulesChange: boolean, observed: Observed): boolean =>
  rulesChange ||
  observed.sets?.has(unflushed) === true ||
  plan.sets.some((change) => change.kind === 'addEntry' && permits(change.name) === false) ||
  plan.staleSets.some((change) => change.kind === 'deleteEntry' && permits(change.name) === true);

/** Records in the kernel, before the rules change, that connections have to be checked. */
export function markPending(plan: KernelPlan, { sets }: Observed): void {
  if (sets?.has(unflushed) !== true) plan.sets.unshift({ kind: 'createSet', name: unflushed, family: 4 });
  plan.staleSets = plan.staleSets.filter(
    (change) => !(change.kind === 'destroySet' && change.name === unflushed),
  );
}

/** Removes that record once the check is done. */
export const clearPending: KernelPlan = {
  ...emptyPlan(),
  staleSets: [{ kind: 'destroySet', name: unflushed }],
};

interface Place {
  /** Absent: in no overlay. */
  network?: string;
  /** A node's block of the network. */
  block?: string;
  cidr?: string;
  /** In a block of this node. */
  own: boolean;
  /** A registered address or VTEP of some node. */
  host: boolean;
  /** Another address of another node, not a registered one. */
  further: boolean;
}

/** Finds out what an address belongs to; each address is looked up once. */
function atlas(policy: Policy): (address: string) => Place {
  const subnets = policy.subnets.map((subnet) => ({ ...subnet, range: parseCidr(subnet.cidr) }));
  const own = policy.own.map(parseCidr);
  const hosts = new Set(policy.hosts);
  const further = new Set(policy.further);
  const ranges = policy.hosts.filter((text) => text.includes('/')).map(parseCidr);
  const known = new Map<string, Place>();
  return (text) => {
    const before = known.get(text);
    if (before !== undefined) return before;
    const address = parseAddress(text);
    const within = (range: Cidr) => containsAddress(range, address);
    const subnet = subnets.find(({ range }) => within(range));
    const place: Place = {
      ...(subnet === undefined
        ? {}
        : {
            network: subnet.network,
            cidr: subnet.cidr,
            block: formatCidr(cidrOf(address, subnet.prefix)),
          }),
      own: own.some(within),
      host: subnet === undefined && (hosts.has(text) || ranges.some(within)),
      further: subnet === undefined && further.has(text),
    };
    known.set(text, place);
    return place;
  };
}

const overPort = (protocol: number): boolean => protocol === 6 || protocol === 17;

/**
 * Judges an existing connection as the rules judge a new one.
 * @param local this node's addresses
 */
function judge(policy: Policy, local: ReadonlySet<string>, place: (address: string) => Place) {
  const mayTalk = (from: string, to: string) => policy.isolated.get(from)?.has(to) ?? true;
  const isClosed = ({ network = '' }: Place) => policy.closed.has(network);
  const callsAPI = ({ network = '' }: Place, flow: Flow) =>
    flow.protocol === 6 && policy.callers.has(network) && isAPI(policy, flow);
  return (flow: Flow): boolean => {
    const [from, server] = [place(flow.from), place(flow.server)];
    const translated = flow.to !== flow.server || flow.toPort !== flow.serverPort;
    const service = overPort(flow.protocol) && translated && flow.toPort === 53;
    const port53 = overPort(flow.protocol) && !translated && flow.serverPort === 53;
    if (local.has(flow.server)) {
      if (local.has(flow.from) || !isClosed(from) || from.own || (port53 && server.host)) return true;
      return callsAPI(from, flow);
    }
    if (service) return true;
    if (local.has(flow.from)) return !isClosed(server) || server.own;
    if (from.further && isClosed(server) && translated) return false;
    if (server.further && isClosed(from)) return callsAPI(from, flow);
    if (from.host) return !(isClosed(server) && translated);
    if (server.host) return !isClosed(from) || callsAPI(from, flow) || !(port53 || translated);
    if (from.network === undefined && isClosed(server) && !server.own && !translated) return false;
    if (from.network === undefined || server.network === undefined || (port53 && !from.own)) return true;
    return mayTalk(from.network, server.network) && mayTalk(server.network, from.network);
  };
}

const isAPI = ({ apiServers }: Policy, { server, serverPort }: Flow): boolean =>
  apiServers.some(({ address, port }) => address === server && port === serverPort);

/**
 * Renders arguments of `conntrack -D`, one process each, that end exactly the connections that are not allowed. Each
 * is a walk through the kernel's table, so there are as few as possible: by subnets where everything that matches is
 * to end, else by nodes' blocks, else one by one.
 */
export function flush(
  flows: readonly Flow[],
  policy: Policy,
  local: ReadonlySet<string>,
  family: Family,
): string[] {
  const place = atlas({ ...policy, subnets: policy.subnets.filter(({ cidr }) => familyOf(cidr) === family) });
  const allowed = judge(policy, local, place);
  const verdicts = flows.map((flow) => ({ flow, stays: allowed(flow) }));
  let doomed = verdicts.filter(({ stays }) => !stays).map(({ flow }) => flow);
  const lines: string[] = [];
  for (const line of widths(place)) {
    if (doomed.length === 0) break;
    const staying = new Set(verdicts.filter(({ stays }) => stays).map(({ flow }) => line(flow)));
    lines.push(...new Set(doomed.map(line).filter((text) => !staying.has(text))));
    doomed = doomed.filter((flow) => staying.has(line(flow)));
  }
  return lines;
}

/** From wide to narrow; the last tells each connection from every other. */
const widths = (place: (address: string) => Place): ((flow: Flow) => string)[] => [
  ({ from, to }) => `-s ${place(from).cidr ?? from} -d ${place(to).cidr ?? to}`,
  ({ from, to }) => `-s ${place(from).block ?? from} -d ${place(to).block ?? to}`,
  ({ from, to, server }) => `-s ${from} -d ${to} -r ${server}`,
  ({ protocol, from, fromPort, to, toPort, server }) =>
    `-p ${protocol} -s ${from} -d ${to} -r ${server}` +
    (fromPort === undefined ? '' : ` --sport ${fromPort}`) +
    (toPort === undefined ? '' : ` --dport ${toPort}`),
];

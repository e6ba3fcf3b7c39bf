import type { AgentAllocation, KubeObject, OverlayAgent, Vtep } from '../api/types.ts';
import { formatAddress, isAddress, parseAddress } from '../net/address.ts';

/** The most addresses that one request may name. */
export const mostAddresses = 1_000;

/** An agent that a request named, and why its deletion was refused. */
export interface RefusedAgent {
  ip: string;
  reason: string;
}

/** A node that is gone, and what it held: these blocks cool for `reuseCooldown`, then they are free. */
export interface DepartedAgent {
  ip: string;
  node: string;
  /** Absent if it had none. */
  vtep?: Vtep;
  networks: { name: string; subnets: string[] }[];
}

/** The API server's own fresh answer about a node. A field is absent if there is no such object. */
export interface NodeRecord {
  node: string;
  object?: KubeObject;
  agent?: OverlayAgent;
  allocation?: AgentAllocation;
}

/**
 * Parses `{"agents": ["172.17.0.3"]}` into the agents' addresses, each once and in canonical form.
 * @returns `error` names the field, the value and the rule
 */
export function parseDeletion(body: string): { addresses: string[] } | { error: string } {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return { error: 'the body is not JSON; it must be like {"agents": ["172.17.0.3"]}' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { error: `the body is ${shown(value)}; it must be an object like {"agents": ["172.17.0.3"]}` };
  }
  const { agents, ...others } = value as { agents?: unknown };
  const [other] = Object.keys(others);
  if (other !== undefined) return { error: `${shown(other)} is not a field; there is "agents" alone` };
  if (!Array.isArray(agents)) {
    return { error: `agents: ${shown(agents)} must be a list of agents' addresses` };
  }
  if (agents.length === 0 || agents.length > mostAddresses) {
    return { error: `agents has ${agents.length} addresses; it must have 1 to ${mostAddresses}` };
  }
  const wrong = agents.findIndex((one) => typeof one !== 'string' || !isAddress(one));
  if (wrong >= 0) return { error: `agents[${wrong}]: ${shown(agents[wrong])} must be an IP address` };
  return { addresses: [...new Set((agents as string[]).map(canonical))] };
}

/**
 * Finds the node that registered with the address: the node that the address was accepted for, otherwise one whose
 * agent claims it.
 */
export function locate(
  addresses: readonly string[],
  allocations: readonly AgentAllocation[],
  agents: readonly OverlayAgent[],
): Map<string, string> {
  const wanted = new Set(addresses);
  const found = new Map<string, string>();
  for (const { metadata, spec } of [...allocations, ...agents]) {
    for (const address of spec.addresses.filter(isAddress).map(canonical)) {
      if (wanted.has(address) && !found.has(address)) found.set(address, metadata.name);
    }
  }
  return found;
}

/**
 * Judges which of the nodes are gone, so that their blocks may be released.
 * @param located the nodes by address; without an entry, the address belongs to no registration
 * @param records by node, as the API server has them now
 */
export function judge(
  addresses: readonly string[],
  located: ReadonlyMap<string, string>,
  records: ReadonlyMap<string, NodeRecord>,
): { departed: DepartedAgent[]; unknown: RefusedAgent[]; alive: RefusedAgent[] } {
  const departed = new Map<string, DepartedAgent>();
  const unknown: RefusedAgent[] = [];
  const alive: RefusedAgent[] = [];
  for (const ip of addresses) {
    const record = records.get(located.get(ip) ?? '');
    if (record === undefined || !claims(record, ip)) {
      unknown.push({ ip, reason: 'no AgentAllocation and no OverlayAgent has this address' });
    } else if (record.object !== undefined) {
      alive.push({ ip, reason: whyAlive(record.node, record.object) });
    } else if (!departed.has(record.node)) {
      departed.set(record.node, departedAgent(ip, record));
    }
  }
  return { departed: [...departed.values()], unknown, alive };
}

/** Tells why a node's blocks are not released. */
export const whyAlive = (node: string, { metadata }: KubeObject): string =>
  metadata.deletionTimestamp === undefined
    ? `Node ${node} exists: delete it first (kubectl delete node ${node})`
    : `Node ${node} is being deleted and still exists: something holds it by metadata.finalizers`;

const claims = ({ allocation, agent }: NodeRecord, ip: string): boolean =>
  [allocation, agent].some((one) =>
    one?.spec.addresses.some((address) => isAddress(address) && canonical(address) === ip),
  );

function departedAgent(ip: string, { node, allocation }: NodeRecord): DepartedAgent {
  const { vtep, networks = [] } = allocation?.spec ?? {};
  return {
    ip,
    node,
    ...(vtep === undefined ? {} : { vtep }),
    networks: networks.map(({ name, subnets }) => ({ name, subnets: subnets.map(({ cidr }) => cidr) })),
  };
}

const canonical = (text: string): string => formatAddress(parseAddress(text));

/** The value as JSON, cut off after the first characters. */
function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length <= 64 ? text : `${text.slice(0, 61)}...`;
}

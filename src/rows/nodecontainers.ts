import { isAddress } from '../net/address.ts';
import type { ContainerRow, NodeContainers } from './row.ts';

/** Of one node; of more the rest is left out, and said. */
const mostContainers = 5_000;
const mostAddresses = 32;
/** Characters of one value. */
const mostText = 512;

/**
 * What an agent answered, as rows of its node. A node that was broken into may answer anything: what is not as it should
 * be does not come through, and no row is of another node.
 * @throws Error saying what of it cannot be understood
 */
export function readNodeContainers(body: string, node: string): { rows: ContainerRow[]; problems: string[] } {
  const value = parsed(body) as { [K in keyof NodeContainers]?: unknown } | null;
  if (typeof value !== 'object' || value === null || !Array.isArray(value.containers))
    throw new Error('its answer has no list of containers');
  const list = value.containers as unknown[];
  const rows = list.slice(0, mostContainers).map((one, at) => rowOf(one, node, at));
  const said = Array.isArray(value.problems) ? (value.problems as unknown[]).slice(0, 10).filter(isText) : [];
  const left = list.length - rows.length;
  return { rows, problems: [...said, ...(left > 0 ? [`${left} more containers were left out`] : [])] };
}

export function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new Error('its answer is not JSON', { cause });
  }
}

export const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= mostText;

function rowOf(value: unknown, node: string, at: number): ContainerRow {
  const raw = (typeof value === 'object' && value !== null ? value : {}) as {
    [K in keyof ContainerRow]?: unknown;
  };
  const wrong = (field: string) =>
    new Error(`its container ${at + 1} has no ${field} that can be understood`);
  const text = (field: 'network' | 'mac' | 'interface' | 'hostLink' | 'id' | 'since'): string => {
    const found = raw[field];
    if (!isText(found)) throw wrong(field);
    return found;
  };
  const optional = (field: 'namespace' | 'pod' | 'name') => {
    const found = raw[field];
    if (found === undefined) return {};
    if (!isText(found)) throw wrong(field);
    return { [field]: found };
  };
  const { addresses, runtime, kernel } = raw;
  if (!isAddresses(addresses)) throw wrong('addresses');
  if (runtime !== 'CNI' && runtime !== 'Docker') throw wrong('runtime');
  if (kernel !== 'Present' && kernel !== 'Missing' && kernel !== 'Unknown') throw wrong('kernel');
  return {
    network: text('network'),
    node,
    addresses,
    mac: text('mac'),
    interface: text('interface'),
    hostLink: text('hostLink'),
    runtime,
    id: text('id'),
    ...optional('namespace'),
    ...optional('pod'),
    ...optional('name'),
    since: text('since'),
    kernel,
  };
}

const isAddresses = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.length <= mostAddresses &&
  value.every((one) => isText(one) && isAddress(one));

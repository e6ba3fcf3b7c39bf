import { bounded } from '../api/text.ts';
import { isAddress } from '../net/address.ts';
import { isText, parsed, readNodeRows } from './nodeanswer.ts';
import type { ContainerRow, LastPass } from './row.ts';

/** Maximum for one node; further ones are left out and counted. */
const mostContainers = 5_000;
const mostAddresses = 32;

/**
 * Reads an agent's list of containers as rows of its node.
 * @throws Error that says which part is invalid
 */
export function readNodeContainers(
  body: string,
  node: string,
): { rows: ContainerRow[]; problems: string[]; pass?: LastPass } {
  const answer = parsed(body);
  const read = readNodeRows(answer, 'containers', mostContainers, (one, at) => rowOf(one, node, at));
  const { pass } = answer as { pass?: unknown };
  return pass === undefined ? read : { ...read, pass: passOf(pass) };
}

function passOf(value: unknown): LastPass {
  const { endedAt, problem } = (value ?? {}) as { [K in keyof LastPass]?: unknown };
  if (!isText(endedAt) || Number.isNaN(Date.parse(endedAt)))
    throw new Error('its last pass has no time that can be understood');
  if (typeof problem !== 'string') throw new Error('its last pass has no problem that can be understood');
  return { endedAt, problem: bounded(problem) };
}

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

import { isAddress, withoutLength } from '../net/address.ts';
import { overlaps, parseCidr } from '../net/cidr.ts';
import type { AgentRow, BlockRow } from '../rows/row.ts';

/** Two sources that disagree. */
export interface Inconsistency {
  /**
   * `Leak`: held without an owner; `Duplicate`: two owners; `Stranger`: in use, but never allocated; `Mismatch`: the sources
   * differ, or one lacks it.
   */
  is: 'Leak' | 'Duplicate' | 'Stranger' | 'Mismatch';
  /** `ledger`, `allocations`, `registrations`, `kernel`, `leases`, `records`, `pods`, `Docker`. */
  between: string;
  node: string;
  object: string;
  message: string;
  next: string;
  /** Whether a restart of the node's agent repairs it. */
  mendable?: true;
}

const status = 'kubectl overlay status; docs/allocation.md says how two nodes can come to hold one block';

/** Finds blocks that two nodes have in the ledger. */
export function ofLedger(blocks: readonly BlockRow[]): Inconsistency[] {
  const taken = blocks.filter(({ state }) => state !== 'Cooling');
  const quarantined = taken
    .filter(({ state }) => state === 'Quarantined')
    .map(({ node, cidr, network }) => ({
      is: 'Duplicate' as const,
      between: 'ledger',
      node,
      object: cidr,
      message: `${nameOf(network)} ${cidr} is held by ${node} and by another node`,
      next: status,
    }));
  const doubled = pairs(taken).map(([one, other]) => ({
    is: 'Duplicate' as const,
    between: 'ledger',
    node: one.node,
    object: one.cidr,
    message: `${one.cidr} (${nameOf(one.network)}, ${ownerText(one)}) overlaps ${other.cidr} (${nameOf(other.network)}, ${ownerText(other)})`,
    next: status,
  }));
  return [...quarantined, ...doubled];
}

const nameOf = (network: string): string => (network === '' ? 'VTEP' : network);

/** The owner in words; a reserved block may have none yet. */
const ownerText = ({ node, state }: BlockRow): string =>
  state === 'Reserved' ? `reserved${node === '' ? '' : ` for ${node}`}` : node;

/** Finds blocks that overlap, by comparing neighbours in the order of addresses. */
function pairs(blocks: readonly BlockRow[]): [BlockRow, BlockRow][] {
  const ranges = blocks
    .filter(({ cidr }) => cidr !== '')
    .map((row) => ({ row, range: parseCidr(row.space === 'vtep' ? hostOf(row.cidr) : row.cidr) }))
    .sort(
      (a, b) =>
        a.range.family - b.range.family ||
        (a.range.base < b.range.base ? -1 : a.range.base > b.range.base ? 1 : 0),
    );
  return ranges.flatMap(({ row, range }, at): [BlockRow, BlockRow][] => {
    const next = ranges[at + 1];
    return next !== undefined && overlaps(range, next.range) ? [[row, next.row]] : [];
  });
}

/** A VTEP's address with the prefix length of one address; its row has that of the whole subnet. */
const hostOf = (cidr: string): string => `${withoutLength(cidr)}/${cidr.includes(':') ? 128 : 32}`;

/** Compares the ledger with each node's AgentAllocation. */
export function ofAllocations(agents: readonly AgentRow[], blocks: readonly BlockRow[]): Inconsistency[] {
  const between = 'ledger and allocations';
  const found: Inconsistency[] = [];
  const byNode = new Map(agents.map((row) => [row.node, row]));
  for (const { node, network, cidr, state } of blocks) {
    if (state !== 'Held') continue;
    const row = byNode.get(node);
    const of = { between, node, object: cidr };
    if (row === undefined || row.state === 'Gone')
      found.push({
        ...of,
        is: 'Leak',
        message: `${nameOf(network)} ${cidr} is held for ${node}, whose Node is gone`,
        next: 'the operator releases it by itself, unless an alarm stops it: kubectl overlay status; docs/tasks.md says how to release it by hand',
      });
    else if (network === '' ? !hasVTEP(row, cidr) : !subnetsOf(row).includes(cidr))
      found.push({
        ...of,
        is: 'Mismatch',
        message: `the ledger gives ${node} ${nameOf(network)} ${cidr}, and its allocation does not show it`,
        next: 'where it stays: kubectl logs -n overlaynet-system deploy/overlaynet-operator',
      });
  }
  const held = new Set(
    blocks
      .filter(({ state }) => state !== 'Cooling' && state !== 'Reserved')
      .map(({ node, cidr }) => `${node} ${cidr}`),
  );
  for (const row of agents)
    for (const cidr of subnetsOf(row))
      if (!held.has(`${row.node} ${cidr}`))
        found.push({
          between,
          node: row.node,
          object: cidr,
          is: 'Stranger',
          message: `the allocation of ${row.node} shows ${cidr}, and the ledger does not give it that`,
          next: status,
        });
  return found;
}

const subnetsOf = ({ networks }: AgentRow): string[] => networks.flatMap(({ subnets }) => subnets);
const hasVTEP = ({ vtep }: AgentRow, cidr: string): boolean =>
  [vtep?.ip, vtep?.ip6].some((one) => one !== undefined && withoutLength(one) === withoutLength(cidr));

/** Compares agents' registrations with their allocations. */
export function ofRegistrations(agents: readonly AgentRow[]): Inconsistency[] {
  const between = 'registrations and allocations';
  const bad = agents.flatMap((row): Inconsistency[] => {
    const { node, state, message } = row;
    const of = { between, node, object: node };
    const next = `kubectl overlay why node ${node}`;
    if (state === 'Missing') return [{ ...of, is: 'Mismatch', message: `${node}: ${message}`, next }];
    if (state === 'Refused' || state === 'Waiting')
      return [{ ...of, is: 'Mismatch', message: `${node} is ${state}: ${message}`, next }];
    return [];
  });
  const doubled = repeated(
    agents.flatMap(({ node, addresses, vtep }) =>
      [...addresses, vtep?.mac].flatMap((one) => (one === undefined ? [] : [{ key: one, node, name: node }])),
    ),
  ).map(({ key, node, names }): Inconsistency => ({
    is: 'Duplicate',
    between,
    node,
    object: key,
    message: `${names} have the same ${isAddress(key) ? 'address' : 'hardware address'} ${key}`,
    next: 'one of them shows another’s: kubectl get overlayagents -o wide',
  }));
  return [...bad, ...doubled];
}

/** Finds keys that several nodes have, with the first one's node. */
export function repeated(all: readonly { key: string; node: string; name: string }[]) {
  const owners = new Map<string, { node: string; names: Set<string> }>();
  for (const { key, node, name } of all) {
    const known = owners.get(key) ?? { node, names: new Set() };
    known.names.add(name);
    owners.set(key, known);
  }
  return [...owners]
    .filter(([, { names }]) => names.size > 1)
    .map(([key, { node, names }]) => ({ key, node, names: [...names].join(' and ') }));
}

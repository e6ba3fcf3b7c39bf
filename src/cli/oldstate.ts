import { statedAddresses } from '../allocate/stated.ts';
import { parseDuration } from '../api/duration.ts';
import type { Finding, Findings } from '../import/finding.ts';
import type { Objects } from '../import/objects.ts';
import type { ImportedReservation } from '../import/reservations.ts';
import { nodes as nodeResource } from '../kube/resources.ts';
import type { Access } from './access.ts';
import { CommandFailure } from './failure.ts';

/** What an import takes from a state document. */
export interface OldState {
  reservations: ImportedReservation[];
  /** Nodes that replace agents without bridges. */
  bare: string[];
}

/** The longest time that a reservation may last: a hundred years. */
const mostMs = 100 * 365 * 86_400_000;
/** Maximum number of names in one message. */
const mostNamed = 10;

/**
 * Reads the state of the old cluster, and binds its agents to Nodes: by the map, otherwise by an equal address.
 * @param access absent: no cluster is asked, and agents are bound by the map alone
 * @returns undefined if something is refused; the reasons are added to `all`
 */
export async function readOldState(
  { stateText, mapText, reserveFor }: Record<'stateText' | 'mapText' | 'reserveFor', string | undefined>,
  objects: Objects,
  { state, map, all }: { state: Findings; map: Findings; all: Finding[] },
  access?: Access,
): Promise<OldState | undefined> {
  const expiresAt =
    reserveFor === undefined ? undefined : new Date(Date.now() + millisecondsOf(reserveFor)).toISOString();
  const { readState } = await import('../import/state.ts');
  const { readMap } = await import('../import/agentsmap.ts');
  const { toReservations } = await import('../import/reservations.ts');
  const agents = stateText === undefined ? undefined : readState(stateText, objects, state);
  const bound =
    agents === undefined || mapText === undefined ? new Map<string, string>() : readMap(mapText, agents, map);
  const addresses = (agents ?? []).map(({ address }) => address);
  if (agents !== undefined && !map.refused && access !== undefined) await bind(addresses, bound, map, access);
  const without = addresses.filter((address) => !bound.has(address));
  if (without.length > 0)
    state.add(
      'warning',
      undefined,
      `${without.length === 1 ? 'agent' : 'agents'} ${named(without)} ${without.length === 1 ? 'has' : 'have'} no Node: what ${without.length === 1 ? 'it' : 'they'} had stays reserved`,
      'name one with --map, or let a Node with that address join',
    );
  all.push(...state.all, ...map.all);
  if (agents === undefined || state.refused || map.refused) return undefined;
  return {
    reservations: toReservations(agents, bound, expiresAt),
    bare: agents.flatMap(({ address, bare }) => (bare ? (bound.get(address) ?? []) : [])),
  };
}

/** Binds the agents that the map does not name to Nodes with their addresses. */
async function bind(
  agents: readonly string[],
  bound: Map<string, string>,
  findings: Findings,
  access: Access,
): Promise<void> {
  const { items } = await access.api((client) => client.list(nodeResource));
  const present = new Set(items.map(({ metadata }) => metadata.name));
  const missing = [...bound.values()].filter((node) => !present.has(node));
  if (missing.length > 0)
    findings.add(
      'warning',
      undefined,
      `there is no Node ${named(missing)} yet`,
      'correct the map, unless it is still to come',
    );
  const taken = new Set(bound.values());
  const owners = new Map<string, string[]>();
  for (const node of items)
    for (const address of statedAddresses(node))
      owners.set(address, [...(owners.get(address) ?? []), node.metadata.name]);
  for (const address of agents) {
    const [node, other] = new Set(owners.get(address));
    if (bound.has(address) || node === undefined) continue;
    if (other !== undefined)
      findings.add(
        'warning',
        undefined,
        `Nodes ${node} and ${other} both state ${address}`,
        'name one with --map',
      );
    else if (!taken.has(node)) {
      bound.set(address, node);
      taken.add(node);
    }
  }
}

const named = (all: readonly string[]): string =>
  all.slice(0, mostNamed).join(', ') + (all.length > mostNamed ? ` and ${all.length - mostNamed} more` : '');

/** `30d`, or a Go duration. @throws CommandFailure */
export function millisecondsOf(text: string): number {
  const [, days] = /^([1-9][0-9]{0,4})d$/.exec(text) ?? [];
  const ms = days === undefined ? parseDuration(text) : Number(days) * 86_400_000;
  if (ms === undefined || ms <= 0 || ms > mostMs)
    throw new CommandFailure(`--reserve-for: "${text}" is not a time`, 'write 30d, 12h or 90m');
  return ms;
}

import { tunnelAddress } from '../api/state.ts';
import type { AgentAllocationSpec, OverlayAgent, Underlay } from '../api/types.ts';
import { isAddress } from '../net/address.ts';
import { parseCidr } from '../net/cidr.ts';
import { believed, conflict, overlap, own, outside, unproven, type TakenSpace } from './addresses.ts';
import type { Claimant } from './demand.ts';
import { uplinkRefusal, type MTURule } from './mtu.ts';
import { joinRefusal, type SubnetInForce } from './overlap.ts';
import type { NodeFacts, Refusal, View } from './view.ts';

/** What is accepted of a registration. */
export interface Accepted {
  addresses: string[];
  uplinkMTU: number | undefined;
  /** The node's other addresses. */
  further: readonly string[] | undefined;
}

export interface Registrations {
  /** By node: the addresses it may use. Nodes whose new registration is refused keep what they had. */
  accepted: Map<string, Accepted>;
  refused: Map<string, Refusal>;
  /** Nodes whose own addresses have to be read before their registration can be judged. */
  unread: Set<string>;
}

/** Registrations that were judged before and are in force. */
export class Standing {
  basis = '';
  readonly known = new Map<
    string,
    {
      agent: OverlayAgent;
      had: AgentAllocationSpec | undefined;
      uid: string;
      entry: Accepted;
    }
  >();
}

/** What a registration must agree with. */
export interface Rules {
  underlay: Underlay;
  mtu: MTURule;
  /** spec.nodeSubnets of OverlayConfig. */
  nodeSubnets: readonly string[] | undefined;
}

/**
 * Judges every agent's registration. An address belongs to the node that has it already, as long as its Node states it,
 * else to the older.
 */
export function judgeRegistrations(
  view: View,
  nodes: readonly NodeFacts[],
  config: Rules,
  taken: readonly TakenSpace[],
  inForce: readonly SubnetInForce[],
  /** Whether the ledger has something as held by a node. */
  holds: (node: string) => boolean,
  memory: Standing,
): Registrations {
  const result: Registrations = { accepted: new Map(), refused: new Map(), unread: new Set() };
  const { known } = memory;
  const basis = JSON.stringify(config);
  if (basis !== memory.basis) known.clear();
  memory.basis = basis;
  let moved = false;
  const owner = new Map<string, string>();
  for (const [name, { spec }] of view.allocations) {
    for (const address of spec.addresses) if (!owner.has(address)) owner.set(address, name);
  }
  const spaces = taken.map((space) => ({ ...space, parsed: parseCidr(space.cidr) }));
  for (const node of nodes) {
    const agent = view.agents.get(node.name);
    const had = view.allocations.get(node.name)?.spec;
    const sameNode = had?.nodeUID === node.uid;
    const keep = () => {
      // a Node that was made anew keeps its name's blocks, and not the addresses, which nobody has checked
      const addresses = sameNode ? had.addresses.filter(isAddress) : [];
      moved ||= addresses.some((address) => (owner.get(address) ?? node.name) !== node.name);
      if (addresses.length > 0 || holds(node.name)) {
        const further = sameNode ? had.furtherAddresses : undefined;
        result.accepted.set(node.name, { addresses, uplinkMTU: undefined, further });
      }
    };
    if (agent === undefined) {
      keep();
      continue;
    }
    const before = known.get(node.name);
    if (before?.agent === agent && before.had === had && before.uid === node.uid) {
      if (before.entry.addresses.every((address) => owner.get(address) === node.name)) {
        result.accepted.set(node.name, before.entry);
        continue;
      }
    }
    known.delete(node.name);
    // what is in force was checked against every space, and every space since against it
    const pinned = sameNode ? had.addresses.filter(isAddress) : [];
    const standing = sameNode && sameTexts(had.addresses, agent.spec.addresses);
    // nobody takes from a member what its containers are on
    const isMember = holds(node.name) || had?.vtep !== undefined || agent.spec.vtep !== undefined;
    const refusal =
      (standing ? undefined : own(view, node, agent, pinned)) ??
      outside(agent, config.nodeSubnets) ??
      conflict(view, agent, node, owner, result.unread) ??
      (standing ? undefined : overlap(agent, spaces)) ??
      (isMember ? undefined : joinRefusal(agent, inForce)) ??
      fits(agent, config) ??
      (standing ? undefined : unproven(view, agent, pinned, config.nodeSubnets));
    if (refusal === undefined) {
      const { addresses, uplinkMTU } = agent.spec;
      for (const address of addresses) {
        moved ||= (owner.get(address) ?? node.name) !== node.name;
        owner.set(address, node.name);
      }
      const entry = { addresses, uplinkMTU, further: believed(agent, config.nodeSubnets) };
      result.accepted.set(node.name, entry);
      if (standing) known.set(node.name, { agent, had, uid: node.uid, entry });
    } else {
      if (refusal === 'unread') result.unread.add(node.name);
      else result.refused.set(node.name, refusal);
      keep();
    }
  }
  for (const name of known.keys()) if (!view.nodes.has(name)) known.delete(name);
  if (moved) dropLost(result, owner);
  return result;
}

/** Accepted nodes, in the order in which they are served, and whether each may get something new. */
export function claimantsOf(
  { allocations, agents, refusal }: View,
  nodes: readonly NodeFacts[],
  { accepted, unread }: Registrations,
): Claimant[] {
  const standing = (name: string): Claimant['standing'] => {
    if (allocations.has(name)) return 'ready';
    const comes = agents.has(name) && !unread.has(name);
    return comes && refusal(`create-allocation ${name}`) === undefined ? 'soon' : 'later';
  };
  const all = nodes.filter(({ name }) => accepted.has(name));
  return all.map(({ name, uid }) => ({ node: name, uid, standing: standing(name) }));
}

/** An address that another node took over, since its owner's Node no longer states it, is the owner's no more. */
function dropLost({ accepted }: Registrations, owner: ReadonlyMap<string, string>): void {
  for (const [name, known] of accepted) {
    const lost = (address: string) => (owner.get(address) ?? name) !== name;
    if (!known.addresses.some(lost)) continue;
    accepted.set(name, { ...known, addresses: known.addresses.filter((address) => !lost(address)) });
  }
}

const sameTexts = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((text, at) => text === b[at]);

function fits({ spec }: OverlayAgent, { underlay, mtu }: Rules): Refusal | undefined {
  const outer = tunnelAddress(spec.addresses, { underlay });
  if (outer === '' || outer.includes(':') !== (underlay === 'IPv6')) {
    return {
      reason: 'NoUnderlayAddress',
      message: `spec.addresses: ${spec.addresses.join(', ')} has no ${underlay} address, which the underlay needs`,
    };
  }
  return uplinkRefusal(spec.uplinkMTU, underlay, mtu);
}

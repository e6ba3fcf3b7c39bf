import { tunnelAddress } from '../api/state.ts';
import type { AgentAllocationSpec, OverlayAgent, Underlay } from '../api/types.ts';
import { familyName, familyOf, isAddress } from '../net/address.ts';
import { parseCidr, type Cidr } from '../net/cidr.ts';
import { believed, conflict, overlap, own, outside, unproven, type TakenSpace } from './addresses.ts';
import type { Claimant } from './demand.ts';
import { uplinkRefusal, type MTURule } from './mtu.ts';
import { joinRefusal, type SubnetInForce } from './overlap.ts';
import type { NodeFacts, Refusal, View } from './view.ts';

/** The accepted parts of a registration. */
export interface Accepted {
  addresses: string[];
  uplinkMTU: number | undefined;
  /** The node's other addresses. */
  further: readonly string[] | undefined;
}

export interface Registrations {
  /** By node: the addresses that it may use. A node whose new registration is refused keeps its old addresses. */
  accepted: Map<string, Accepted>;
  refused: Map<string, Refusal>;
  /** Nodes whose own addresses must be read before their registration can be judged. */
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

/** Rules for registrations. */
export interface Rules {
  underlay: Underlay;
  mtu: MTURule;
  /** spec.nodeSubnets of OverlayConfig. */
  nodeSubnets: readonly string[] | undefined;
}

/** The facts that registrations are judged by. */
interface Basis {
  view: View;
  rules: Rules;
  taken: readonly TakenSpace[];
  inForce: readonly SubnetInForce[];
  /** Whether the ledger shows a block or VTEP as held by the node. */
  holds: (node: string) => boolean;
}

/**
 * Judges every agent's registration. An address belongs to the node that already has it as long as its Node states it,
 * otherwise to the older node.
 * @param nodes in the order in which they get blocks
 */
export function judgeRegistrations(
  nodes: readonly NodeFacts[],
  basis: Basis,
  memory: Standing,
): Registrations {
  const text = JSON.stringify(basis.rules);
  if (text !== memory.basis) memory.known.clear();
  memory.basis = text;
  const judgement = new Judgement(basis, memory);
  for (const node of nodes) judgement.judge(node);
  return judgement.end();
}

/** The registrations, judged one after another. */
class Judgement {
  readonly #basis: Basis;
  readonly #known: Standing['known'];
  readonly #result: Registrations = { accepted: new Map(), refused: new Map(), unread: new Set() };
  /** By address: the node that has it. */
  readonly #owner = new Map<string, string>();
  readonly #spaces: readonly (TakenSpace & { parsed: Cidr })[];
  /** Whether an address moved from one node to another. */
  #moved = false;

  constructor(basis: Basis, { known }: Standing) {
    this.#basis = basis;
    this.#known = known;
    for (const [name, { spec }] of basis.view.allocations)
      for (const address of spec.addresses) if (!this.#owner.has(address)) this.#owner.set(address, name);
    this.#spaces = basis.taken.map((space) => ({ ...space, parsed: parseCidr(space.cidr) }));
  }

  judge(node: NodeFacts): void {
    const { view } = this.#basis;
    const agent = view.agents.get(node.name);
    const had = view.allocations.get(node.name)?.spec;
    if (agent === undefined) {
      this.#keep(node, had);
      return;
    }
    const before = this.#known.get(node.name);
    if (before?.agent === agent && before.had === had && before.uid === node.uid) {
      if (before.entry.addresses.every((address) => this.#owner.get(address) === node.name)) {
        this.#result.accepted.set(node.name, before.entry);
        return;
      }
    }
    this.#known.delete(node.name);
    const standing = had?.nodeUID === node.uid && sameTexts(had.addresses, agent.spec.addresses);
    const refusal = this.#refusal(node, agent, had, standing);
    if (refusal === undefined) {
      const entry = this.#accept(node, agent);
      if (standing) this.#known.set(node.name, { agent, had, uid: node.uid, entry });
    } else {
      if (refusal === 'unread') this.#result.unread.add(node.name);
      else this.#result.refused.set(node.name, refusal);
      this.#keep(node, had);
    }
  }

  /** Returns the verdicts, after every node was judged. */
  end(): Registrations {
    for (const name of this.#known.keys()) if (!this.#basis.view.nodes.has(name)) this.#known.delete(name);
    if (this.#moved) dropLost(this.#result, this.#owner);
    return this.#result;
  }

  /**
   * @param standing whether the addresses are those in force: they were checked against every space, and every later
   *   space was checked against them
   */
  #refusal(
    node: NodeFacts,
    agent: OverlayAgent,
    had: AgentAllocationSpec | undefined,
    standing: boolean,
  ): Refusal | 'unread' | undefined {
    const { view, rules, inForce, holds } = this.#basis;
    const pinned = had?.nodeUID === node.uid ? had.addresses.filter(isAddress) : [];
    // a member's containers use its subnets, so it stays a member
    const isMember = holds(node.name) || had?.vtep !== undefined || agent.spec.vtep !== undefined;
    return (
      (standing ? undefined : own(view, node, agent, pinned)) ??
      outside(agent, rules.nodeSubnets) ??
      conflict(view, agent, node, this.#owner, this.#result.unread) ??
      (standing ? undefined : overlap(agent, this.#spaces)) ??
      (isMember ? undefined : joinRefusal(agent, inForce)) ??
      fits(agent, rules) ??
      (standing ? undefined : unproven(view, agent, pinned, rules.nodeSubnets))
    );
  }

  #accept(node: NodeFacts, agent: OverlayAgent): Accepted {
    const { addresses, uplinkMTU } = agent.spec;
    this.#moved ||= this.#isAnothers(addresses, node);
    for (const address of addresses) this.#owner.set(address, node.name);
    const entry = { addresses, uplinkMTU, further: believed(agent, this.#basis.rules.nodeSubnets) };
    this.#result.accepted.set(node.name, entry);
    return entry;
  }

  /**
   * Leaves a node its old addresses. A Node that was created again keeps the blocks of its name, but not the addresses:
   * they were not checked.
   */
  #keep(node: NodeFacts, had: AgentAllocationSpec | undefined): void {
    const same = had?.nodeUID === node.uid ? had : undefined;
    const addresses = (same?.addresses ?? []).filter(isAddress);
    this.#moved ||= this.#isAnothers(addresses, node);
    if (addresses.length > 0 || this.#basis.holds(node.name)) {
      this.#result.accepted.set(node.name, {
        addresses,
        uplinkMTU: undefined,
        further: same?.furtherAddresses,
      });
    }
  }

  #isAnothers(addresses: readonly string[], { name }: NodeFacts): boolean {
    return addresses.some((address) => (this.#owner.get(address) ?? name) !== name);
  }
}

/** Accepted nodes, in the order in which they get blocks, with the standing of each. */
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

/** Takes away addresses that another node took over, because the first owner's Node no longer states them. */
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
  if (outer === '' || familyName(familyOf(outer)) !== underlay) {
    return {
      reason: 'NoUnderlayAddress',
      message: `spec.addresses: ${spec.addresses.join(', ')} has no ${underlay} address, which the underlay needs`,
    };
  }
  return uplinkRefusal(spec.uplinkMTU, underlay, mtu);
}

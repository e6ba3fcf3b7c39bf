import { selects } from '../api/selector.ts';
import type { AgentAllocationSpec, LedgerIndex, LedgerSpace, OverlayNetwork } from '../api/types.ts';
import { block, formatCidr, parseCidr } from '../net/cidr.ts';
import { planSpace, type Claimant, type SpacePlan } from './blocks.ts';
import {
  configRefusal,
  cooldown,
  hasIPv6,
  pinnable,
  takenSpaces,
  tunnelMTU,
  withVtepSpace,
} from './config.ts';
import { judgeNetworks } from './networks.ts';
import { byAge } from './order.ts';
import { judgeRegistrations, type Registrations } from './register.ts';
import { holdings, removes, sameSpec, type Holding, type Renderer } from './render.ts';
import { capacity, listedPages, statedIndex, vtepSpace } from './space.ts';
import { indexOf, version, type NodeFacts, type Refusal, type View, type Write } from './view.ts';

export interface Plan {
  /** Safe to do now, in any order among themselves. Plan again once they are done. */
  writes: Write[];
  /** Nodes whose own addresses must be read first. */
  unread: ReadonlySet<string>;
  /** An AgentAllocation waits for a ledger that was read after it: read the ledger again. */
  staleLedger: boolean;
  /** When something cools off, in milliseconds since the epoch; Infinity: never. */
  wakeAt: number;
  /** For the conditions. */
  registrations: Registrations;
  refusedNetworks: Map<string, Refusal>;
  refusedConfig: Refusal | undefined;
  /** Bytes; undefined until an agent has registered. */
  mtu: number | undefined;
  /** Nodes that wait for a block of that space, and find none. */
  exhausted: { space: LedgerSpace; nodes: string[] }[];
}

/** The next writes toward every node holding what it should; empty when all is as it should be. */
export function plan(view: View, renderer: Renderer): Plan {
  const index = indexOf(view.ledger);
  const cooldownMs = cooldown(view);
  const wanted = view.config?.spec;
  const refusedConfig = configRefusal(view, index);
  const config =
    index.config ?? (refusedConfig === undefined && wanted !== undefined ? pinnable(wanted) : undefined);
  const held = holdings(view.ledger, index);
  const registrations = judgeRegistrations(
    view,
    { underlay: config?.underlay ?? 'IPv4', ...(wanted?.mtu === undefined ? {} : { mtu: wanted.mtu }) },
    takenSpaces(index, config),
    hasIPv6(index),
    (node) => held.has(node),
  );
  const mtu = tunnelMTU(view, registrations, config, index);
  const { spaces, refused } = judgeNetworks(view.networks, index.spaces, {
    now: view.now,
    cooldownMs,
    vtepSubnets: config?.vtepSubnets ?? [],
    nodeAddresses: new Map(
      [...registrations.accepted].flatMap(([node, { addresses }]) =>
        addresses.map((address) => [address, node]),
      ),
    ),
    users: (space) =>
      [...view.agents].flatMap(([node, { spec }]) =>
        statedIndex(space, spec, index.config) === undefined ? [] : [node],
      ),
    mtu,
  });
  const result: Plan = {
    writes: [],
    unread: registrations.unread,
    staleLedger: false,
    wakeAt: Infinity,
    registrations,
    refusedNetworks: refused,
    refusedConfig,
    mtu,
    exhausted: [],
  };
  if (view.config === undefined) result.writes.push({ kind: 'create-config', spec: index.config ?? {} });
  const pinned = index.config ?? (registrations.accepted.size > 0 ? config : undefined);
  const next = { ...index, spaces: withVtepSpace(spaces, pinned) };
  if (pinned !== undefined) next.config = pinned;
  new Planner(view, renderer, result, next, cooldownMs).run(index, held);
  return result;
}

class Planner {
  private readonly networks: ReadonlyMap<string, OverlayNetwork>;
  private readonly view: View;
  private readonly renderer: Renderer;
  private readonly result: Plan;
  private readonly next: LedgerIndex;
  private readonly cooldownMs: number;
  /** Every node, in the order in which they are served. */
  private readonly byAge: NodeFacts[];

  constructor(view: View, renderer: Renderer, result: Plan, next: LedgerIndex, cooldownMs: number) {
    this.view = view;
    this.renderer = renderer;
    this.result = result;
    this.next = next;
    this.cooldownMs = cooldownMs;
    this.byAge = [...view.nodes.values()].sort(byAge);
    this.networks = new Map(
      view.networks.filter(({ metadata }) => !metadata.deletionTimestamp).map((n) => [n.metadata.name, n]),
    );
  }

  run(index: LedgerIndex, held: ReadonlyMap<string, Holding>): void {
    const { view, result } = this;
    const plans = this.planSpaces();
    this.finishSpaces(plans);
    if (view.ledger.spaces === undefined || JSON.stringify(this.next) !== JSON.stringify(index)) {
      // pages and allocations follow from the index that is written, not from one that may be refused
      result.writes.push({ kind: 'write-index', index: this.next });
      return;
    }
    for (const { writes } of plans.values()) {
      result.writes.push(...writes.map((write) => ({ kind: 'write-page' as const, ...write })));
    }
    this.dropUnlistedPages();
    this.planAllocations(plans, held);
  }

  /** The VTEP first: a node for which there is none gets nothing else. */
  private planSpaces(): Map<LedgerSpace, SpacePlan> {
    const plans = new Map<LedgerSpace, SpacePlan>();
    let without: ReadonlySet<string> = new Set();
    const ordered = [...this.next.spaces].sort(
      (a, b) => Number(b.cidr === vtepSpace) - Number(a.cidr === vtepSpace),
    );
    for (const space of ordered) {
      const isVtep = space.cidr === vtepSpace;
      const network = this.networks.get(space.network);
      const entry = network?.spec.subnets.find(({ cidr }) => cidr === space.cidr);
      const claimants =
        isVtep || network?.spec.enabled === true
          ? this.claimants(
              space,
              (node) =>
                isVtep || (!without.has(node.name) && selects(network?.spec.nodeSelector, node.labels)),
            )
          : [];
      const spacePlan = planSpace(this.view.ledger, space, {
        claimants,
        keepOnly: !isVtep && entry?.state === 'Draining',
        capacity: capacity(space, this.next.config),
        now: this.view.now,
        cooldownMs: this.cooldownMs,
        withdrawn: this.view.withdrawn,
        inUse: (node, at) => !isVtep && this.inUse(space, node, at),
      });
      if (isVtep) without = new Set(spacePlan.exhausted);
      if (spacePlan.exhausted.length > 0) this.result.exhausted.push({ space, nodes: spacePlan.exhausted });
      this.result.wakeAt = Math.min(this.result.wakeAt, spacePlan.wakeAt);
      plans.set(space, spacePlan);
    }
    return plans;
  }

  private claimants(space: LedgerSpace, wants: (node: NodeFacts) => boolean): Claimant[] {
    const { view, result } = this;
    return this.byAge
      .filter(
        (node) => result.registrations.accepted.has(node.name) && !view.isStuck(node.name) && wants(node),
      )
      .map((node) => ({
        node: node.name,
        uid: node.uid,
        ready: view.allocations.has(node.name),
        preferred: () => this.preferred(space, node.name),
      }));
  }

  /** What the node's AgentAllocation shows, or what its agent says it holds: a ledger that lost it takes it up again. */
  private preferred(space: LedgerSpace, node: string): number | undefined {
    for (const spec of [this.view.allocations.get(node)?.spec, this.view.agents.get(node)?.spec]) {
      const at = spec && statedIndex(space, spec, this.next.config);
      if (at !== undefined) return at;
    }
    return undefined;
  }

  private inUse({ cidr, prefix, network }: LedgerSpace, node: string, at: number): boolean {
    const stated = this.view.agents.get(node)?.spec.networks?.find(({ name }) => name === network);
    return stated?.subnets.includes(formatCidr(block(parseCidr(cidr), prefix, at))) === true;
  }

  /** Lists the pages that are needed, and forgets spaces whose blocks have all cooled. */
  private finishSpaces(plans: ReadonlyMap<LedgerSpace, SpacePlan>): void {
    this.next.spaces = this.next.spaces.flatMap((space) => {
      if (space.retiredAt !== undefined) {
        const done = Date.parse(space.retiredAt) + this.cooldownMs;
        const rests = listedPages(this.view.ledger, space).some(
          ({ object, page }) => object === undefined || page.retired !== true || page.blocks.length > 0,
        );
        if (rests) return [space];
        if (done <= this.view.now) return [];
        this.result.wakeAt = Math.min(this.result.wakeAt, done);
        return [space];
      }
      const pages = [...space.pages];
      for (let needed = plans.get(space)?.pagesNeeded ?? 0; needed > 0; needed--)
        pages.push(this.next.nextPage++);
      return [pages.length === space.pages.length ? space : { ...space, pages }];
    });
  }

  /** Tombstones, and what a late writer made empty. A page that holds blocks and is not listed is not understood. */
  private dropUnlistedPages(): void {
    const listed = new Set(
      this.next.spaces.flatMap((space) => listedPages(this.view.ledger, space).map(({ name }) => name)),
    );
    for (const [name, { spec }] of this.view.ledger.pages) {
      const spent = spec.page?.retired === true || spec.page?.blocks.length === 0;
      if (!listed.has(name) && spent) this.result.writes.push({ kind: 'delete-page', name });
    }
  }

  private planAllocations(
    plans: ReadonlyMap<LedgerSpace, SpacePlan>,
    held: ReadonlyMap<string, Holding>,
  ): void {
    const { view, result } = this;
    const withdraws = new Map<string, string[]>();
    for (const { releasing } of plans.values()) {
      for (const [node, keys] of releasing) withdraws.set(node, [...(withdraws.get(node) ?? []), ...keys]);
    }
    const marked = new Set([...plans.values()].flatMap((space) => [...space.marked]));
    for (const node of view.nodes.values()) {
      // what is being marked is neither shown nor withdrawn before the mark stands
      if (!marked.has(node.name))
        this.planAllocation(node, held.get(node.name), withdraws.get(node.name) ?? []);
      withdraws.delete(node.name);
    }
    for (const name of view.allocations.keys()) {
      if (view.nodes.has(name)) continue;
      // first the marks, then the object: nobody may think it gone while the ledger still says Held
      const keys = withdraws.get(name) ?? [];
      if (!held.has(name)) result.writes.push({ kind: 'delete-allocation', node: name, withdraws: keys });
      withdraws.delete(name);
    }
    for (const [node, keys] of withdraws)
      result.writes.push({ kind: 'confirm-absent', node, withdraws: keys });
    for (const name of view.agents.keys()) {
      if (!view.nodes.has(name)) result.writes.push({ kind: 'delete-agent', node: name });
    }
  }

  private planAllocation(node: NodeFacts, holding: Holding | undefined, withdraws: string[]): void {
    const { view, result } = this;
    const registration = result.registrations.accepted.get(node.name);
    const object = view.allocations.get(node.name);
    if (object === undefined) {
      if (view.agents.has(node.name) && !result.unread.has(node.name) && !view.isStuck(node.name)) {
        const spec: AgentAllocationSpec = {
          revision: 1,
          nodeUID: node.uid,
          addresses: registration?.addresses ?? [],
        };
        result.writes.push({ kind: 'create-allocation', node: node.name, spec, withdraws });
      } else if (withdraws.length > 0) {
        result.writes.push({ kind: 'confirm-absent', node: node.name, withdraws });
      }
      return;
    }
    const addresses = registration?.addresses ?? object.spec.addresses;
    const spec = this.renderer.render(node, addresses, holding, this.next, this.networks);
    if (sameSpec(object.spec, spec) && withdraws.length === 0) return;
    // step 3 needs a ledger read after the object it is written under, else a release in between is undone; what goes
    // may stand in any page
    const asOf = removes(object.spec, spec) ? view.ledger.readAt : (holding?.asOf ?? Infinity);
    if (asOf < version(object)) {
      result.staleLedger = true;
      return;
    }
    const revision = object.spec.revision + 1;
    if (!Number.isSafeInteger(revision)) {
      // somebody wrote that by hand; the object is made again
      result.writes.push({ kind: 'delete-allocation', node: node.name, withdraws });
      return;
    }
    result.writes.push({
      kind: 'update-allocation',
      node: node.name,
      spec: { revision, ...spec },
      withdraws,
    });
  }
}

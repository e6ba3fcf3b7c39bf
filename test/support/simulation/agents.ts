import type { AgentAllocation, OverlayAgent, OverlayAgentSpec } from '../../../src/api/types.ts';
import { overlayAgents } from '../../../src/kube/resources.ts';
import type { Random } from './random.ts';
import type { MemoryServer } from './server.ts';

/** The kernel objects of one node. */
interface Machine {
  address: string;
  vtep: OverlayAgentSpec['vtep'];
  /** Network by block. */
  blocks: Map<string, string>;
  /** Withdrawn blocks that containers still use. */
  lingering: Set<string>;
}

/** All nodes' agents: each follows its AgentAllocation, reports what it has, and keeps what containers use. */
export class Agents {
  readonly #server: MemoryServer;
  readonly #random: Random;
  readonly #machines = new Map<string, Machine>();
  readonly #dirty = new Set<string>();
  /** Whether containers may keep withdrawn blocks. */
  containersStay = true;

  constructor(server: MemoryServer, random: Random) {
    this.#server = server;
    this.#random = random;
    server.onCommit.push(({ plural, name }) => {
      if (plural === 'agentallocations' || plural === 'overlayagents' || plural === 'nodes')
        this.#dirty.add(name);
    });
  }

  get running(): string[] {
    return [...this.#machines.keys()];
  }

  /** Starts an agent on a machine without any of our objects. */
  start(name: string, address: string): void {
    this.#machines.set(name, { address, vtep: undefined, blocks: new Map(), lingering: new Set() });
    this.#dirty.add(name);
  }

  /** Stops an agent whose machine is gone. */
  stop(name: string): void {
    this.#machines.delete(name);
  }

  containersExit(name: string): void {
    const machine = this.#machines.get(name);
    for (const cidr of machine?.lingering ?? []) machine?.blocks.delete(cidr);
    machine?.lingering.clear();
    this.#dirty.add(name);
  }

  /** Lets one agent act, if any has something to do. */
  stepOne(): void {
    const name = this.#random.pick([...this.#dirty]);
    if (name !== undefined) this.#step(name);
  }

  /** Lets all agents act. They are faster than any cooldown, so time passes only after this. */
  stepAll(): void {
    for (let rounds = 0; this.#dirty.size > 0 && rounds < 10; rounds++)
      for (const name of [...this.#dirty]) this.#step(name);
  }

  #step(name: string): void {
    this.#dirty.delete(name);
    const machine = this.#machines.get(name);
    if (machine === undefined) return;
    if (this.#server.get('nodes', name) === undefined) {
      machine.blocks.clear();
      machine.lingering.clear();
      machine.vtep = undefined;
      return;
    }
    const allocation = this.#server.get('agentallocations', name) as AgentAllocation | undefined;
    if (allocation !== undefined) this.#follow(machine, allocation);
    this.#say(name, machine);
  }

  #follow(machine: Machine, { spec }: AgentAllocation): void {
    machine.vtep = spec.vtep ?? machine.vtep;
    const shown = new Map(
      (spec.networks ?? []).flatMap((network) => network.subnets.map(({ cidr }) => [cidr, network.name])),
    );
    for (const cidr of [...machine.blocks.keys()]) {
      if (shown.has(cidr) || machine.lingering.has(cidr)) continue;
      if (this.containersStay && this.#random.chance(0.3)) machine.lingering.add(cidr);
      else machine.blocks.delete(cidr);
    }
    for (const [cidr, network] of shown) {
      machine.lingering.delete(cidr);
      machine.blocks.set(cidr, network);
    }
  }

  #say(name: string, { address, vtep, blocks }: Machine): void {
    const networks = [...Map.groupBy(blocks, ([, network]) => network)]
      .map(([network, entries]) => ({ name: network, subnets: entries.map(([cidr]) => cidr).sort() }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const spec: OverlayAgentSpec = {
      addresses: [address],
      uplinkMTU: 1500,
      ...(vtep === undefined ? {} : { vtep }),
      ...(networks.length === 0 ? {} : { networks }),
    };
    const { plural, apiVersion, kind } = overlayAgents;
    const known = this.#server.get(plural, name) as OverlayAgent | undefined;
    const object: OverlayAgent = { ...(known ?? { apiVersion, kind, metadata: { name } }), spec };
    if (known === undefined) this.#server.create(plural, object, 'agent');
    else this.#server.update(plural, object, 'agent');
  }
}

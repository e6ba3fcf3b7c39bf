import type { AgentAllocation, OverlayAgent, OverlayNetwork } from '../../../src/api/types.ts';
import { ApiError, type Client } from '../../../src/kube/client.ts';
import { agentAllocations, nodes, overlayAgents, overlayNetworks } from '../../../src/kube/resources.ts';
import { Leader } from '../../support/leader.ts';
import { MemoryClient, type Call } from '../../support/simulation/client.ts';
import { OpenGate } from '../../support/simulation/opengate.ts';
import { stamped } from '../../support/simulation/samples.ts';
import { MemoryServer } from '../../support/simulation/server.ts';

type Entry = Pick<OverlayNetwork['spec']['subnets'][number], 'cidr' | 'prefix'>;

/** Remembers every request, and lets a test refuse it. */
class Guard extends OpenGate {
  readonly calls: (Call & { at: number })[] = [];
  onRequest: (call: Call) => void = () => undefined;

  override async request(call?: Call): Promise<void> {
    if (call === undefined) return;
    this.calls.push({ ...call, at: performance.now() });
    this.onRequest(call);
    await super.request();
  }
}

/** An API server in memory, operators on it, and what people and agents bring: networks and nodes. */
export class MemoryPlane {
  readonly server = new MemoryServer(() => Date.now());
  readonly client: Client;
  readonly #guard = new Guard(this.server);
  readonly #leaders: Leader[] = [];

  constructor() {
    const connect = (actor: string, gate: OpenGate) =>
      new MemoryClient({ server: this.server, gate, actor, error: ApiError }).asClient;
    this.client = connect('operator', this.#guard);
  }

  /** What operators have asked so far. */
  count(verb: Call['verb'], plural: string): number {
    return this.times(verb, plural).length;
  }

  /** How many requests operators have sent so far, of whatever kind. */
  get requests(): number {
    return this.#guard.calls.length;
  }

  /** When they asked it, by performance.now(). */
  times(verb: Call['verb'], plural: string): number[] {
    return this.#guard.calls
      .filter((call) => call.verb === verb && call.plural === plural)
      .map(({ at }) => at);
  }

  /** @param look throws in place of the API server where a request of an operator is to fail */
  onRequest(look: (call: Call) => void): void {
    this.#guard.onRequest = look;
  }

  async leader(): Promise<Leader> {
    const leader = new Leader(this.client);
    this.#leaders.push(leader);
    return leader.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#leaders.map((leader) => leader.stop()));
  }

  /** A Node that states these addresses, and its agent, which registers with `claimed`. */
  join(name: string, stated: string[], claimed = stated): void {
    const address = stated.map((each) => ({ type: 'InternalIP', address: each }));
    const node = { metadata: { name }, status: { addresses: address } };
    this.server.create(nodes.plural, node, 'person');
    this.server.updateStatus(nodes.plural, node, 'person');
    const agent = { metadata: { name }, spec: { addresses: claimed, uplinkMTU: 1500 } };
    this.server.create(overlayAgents.plural, stamped<OverlayAgent>(overlayAgents, agent), 'person');
  }

  network(name: string, entries: Entry[]): void {
    const subnets = entries.map((entry) => ({ state: 'Active', ...entry }));
    const spec = { enabled: true, containerizers: ['CNI', 'Docker'], subnets };
    this.server.create(
      overlayNetworks.plural,
      stamped<OverlayNetwork>(overlayNetworks, { metadata: { name }, spec }),
      'person',
    );
  }

  /** Another client changes an object. */
  patch(plural: string, name: string, patch: unknown, subresource?: 'status'): void {
    this.server.patch(plural, name, patch, subresource, 'person');
  }

  allocation(node: string): AgentAllocation | undefined {
    return this.server.get(agentAllocations.plural, node) as AgentAllocation | undefined;
  }
}

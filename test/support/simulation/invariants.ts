import type { AgentAllocation, AllocationLedger, OverlayAgent } from '../../../src/api/types.ts';
import { claimsOf, overlap, rangeOf, shownBy, type Claim } from './claims.ts';
import { Keeping } from './keeping.ts';
import { Entitled } from './entitled.ts';
import type { Commit, MemoryServer } from './server.ts';
import { Violation, type Kind } from './violation.ts';

/** Checks every revision and keeps the first violation. */
export class Invariants {
  violation: Violation | undefined;
  /** If people edit the ledger, only one promise holds: no two nodes share a block. */
  readonly #hands: boolean;
  readonly #ignored: readonly Kind[];
  readonly #server: MemoryServer;
  readonly #entitled: Entitled;
  readonly #keeping: Keeping;
  /** By MAC: the node that shows it. */
  readonly #macs = new Map<string, string>();
  readonly #shown = new Map<string, string[]>();
  #claims: Claim[] = [];
  #byText = new Map<string, Claim>();

  /** @param runningSince the revision at which an operator's run began; undefined for other writers */
  constructor(
    server: MemoryServer,
    hands: boolean,
    ignored: readonly Kind[],
    runningSince: (actor: string) => number | undefined,
    now: () => number,
  ) {
    this.#server = server;
    this.#hands = hands;
    this.#ignored = ignored;
    this.#entitled = new Entitled(server, runningSince);
    this.#keeping = new Keeping(server, now);
    server.onCommit.push((commit) => {
      if (this.violation === undefined) this.#check(commit);
    });
  }

  #check(commit: Commit): void {
    if (!this.#hands)
      this.#look(() => {
        this.#entitled.check(commit, this.#byText);
        this.#keeping.check(commit, this.#claims);
      });
    if (commit.plural === 'agentallocations')
      this.#look(() => {
        this.#allocation(commit);
      });
    else if (commit.plural === 'allocationledgers')
      this.#look(() => {
        this.#ledger(commit);
      });
  }

  #look(rule: () => void): void {
    try {
      rule();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      if (!this.#ignored.includes(error.kind)) this.violation ??= error;
    }
  }

  #allocation({ type, name, object, old }: Commit): void {
    for (const [mac, node] of this.#macs) if (node === name) this.#macs.delete(mac);
    if (type === 'DELETED') {
      this.#shown.delete(name);
      return;
    }
    const allocation = object as unknown as AgentAllocation;
    const own = shownBy(allocation);
    this.#shown.set(name, own);
    const before = (old as unknown as AgentAllocation | undefined)?.spec.revision ?? 0;
    if (allocation.spec.revision < before)
      throw new Violation('backwards', `revision of ${name}`, [old, object]);
    for (const text of own) this.#alone(name, text);
    this.#aloneWithMAC(name, allocation);
    if (!this.#hands) for (const text of own) this.#ledgered(name, text);
  }

  #alone(name: string, text: string): void {
    const vtep = text.startsWith('44.');
    for (const [other, theirs] of this.#shown) {
      if (other === name) continue;
      const hit = theirs.find((one) =>
        vtep ? one === text : !one.startsWith('44.') && overlap(rangeOf(one), rangeOf(text)),
      );
      if (hit === undefined) continue;
      const objects = [name, other].map((node) => this.#server.get('agentallocations', node));
      throw new Violation('overlap', `${name} shows ${text} and ${other} shows ${hit}`, objects);
    }
  }

  #aloneWithMAC(name: string, { spec: { vtep } }: AgentAllocation): void {
    if (vtep === undefined) return;
    const other = this.#macs.get(vtep.mac);
    this.#macs.set(vtep.mac, name);
    if (other === undefined) return;
    const objects = [name, other].map((node) => this.#server.get('agentallocations', node));
    throw new Violation('overlap', `${name} and ${other} show the MAC ${vtep.mac}`, objects);
  }

  #ledgered(name: string, text: string): void {
    const claim = this.#byText.get(text);
    if (claim?.node === name && (claim.state === 'Held' || claim.state === 'Releasing')) return;
    const says = claim === undefined ? 'free' : `${claim.state} by ${claim.node}`;
    throw new Violation('unledgered', `${name} shows ${text}, which the ledger has as ${says}`, [
      this.#server.get('agentallocations', name),
      ...this.#server.list('allocationledgers'),
    ]);
  }

  #ledger({ name, object, old, type }: Commit): void {
    const next = (object as unknown as AllocationLedger).spec.index?.nextPage ?? 0;
    const before = (old as unknown as AllocationLedger | undefined)?.spec.index?.nextPage ?? 0;
    if (type !== 'DELETED' && next < before)
      throw new Violation('backwards', `nextPage of ${name}`, [old, object]);
    this.#claims = claimsOf(this.#server);
    this.#byText = new Map(this.#claims.map((claim) => [claim.text, claim]));
    if (this.#hands) return;
    for (const [node, texts] of this.#shown) for (const text of texts) this.#ledgered(node, text);
    for (const agent of this.#server.list('overlayagents') as unknown as OverlayAgent[]) {
      const node = agent.metadata.name;
      for (const text of (agent.spec.networks ?? []).flatMap(({ subnets }) => subnets)) {
        const claim = this.#byText.get(text);
        if (claim?.node === node) continue;
        const says = claim === undefined ? 'free' : `${claim.state} by ${claim.node}`;
        const message = `the agent of ${node} uses ${text}, which the ledger has as ${says}`;
        throw new Violation('inUse', message, [agent, object]);
      }
    }
  }
}

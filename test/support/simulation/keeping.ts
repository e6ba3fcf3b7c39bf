import type {
  AgentAllocation,
  AllocationLedger,
  LedgerBlock,
  LedgerPage,
  OverlayAgent,
  OverlayReservation,
} from '../../../src/api/types.ts';
import { claimsOf, type Claim } from './claims.ts';
import type { Commit, MemoryServer } from './server.ts';
import { Violation } from './violation.ts';

/** Clocks of operators differ by less, in milliseconds. */
const skewMs = 10_000;

/**
 * What reservations promise: what is reserved goes to its node and to no other, a node whose reservation was there
 * before it came gets nothing else of that space, and a VTEP keeps its MAC.
 */
export class Keeping {
  readonly #server: MemoryServer;
  readonly #now: () => number;
  /** By UID: the revision at which it was created. */
  readonly #born = new Map<string, number>();
  /** By UID of a reservation: the Node that it is for. */
  readonly #nodes = new Map<string, string>();
  /** `SPACE NODE` for each node that ever held a block of that space. */
  readonly #holders = new Set<string>();

  /** By node: VTEPs and blocks that its agent ever said to hold. */
  readonly #reported = new Map<string, Set<string>>();

  constructor(server: MemoryServer, now: () => number) {
    this.#server = server;
    this.#now = now;
  }

  check(commit: Commit, before: readonly Claim[]): void {
    const { plural, name, object, old, revision, type } = commit;
    if (type === 'ADDED') this.#born.set(object.metadata.uid ?? '', revision);
    if (plural === 'overlayreservations') this.#nodes.set(object.metadata.uid ?? '', name.slice(1));
    if (plural === 'overlayagents') this.#hear(name, object as unknown as OverlayAgent);
    if (type === 'DELETED' || old === undefined) return;
    if (plural === 'agentallocations')
      sameMAC(old as unknown as AgentAllocation, object as unknown as AgentAllocation);
    if (plural !== 'allocationledgers') return;
    const [was, next] = [old, object].map((one) => (one as unknown as AllocationLedger).spec.page);
    if (was === undefined || next === undefined) return;
    for (const entry of was.blocks) if (entry.state === 'Reserved') this.#kept(entry, next, name);
    const reserved = before.filter(({ space, state }) => space.cidr === was.space && state === 'Reserved');
    for (const entry of next.blocks) {
      if (entry.state === 'Held' && !was.blocks.some(({ index }) => index === entry.index))
        this.#onlyOwn(entry, next.space, reserved, name);
      if (entry.state === 'Held') this.#holders.add(`${next.space} ${entry.node}`);
    }
  }

  #kept(entry: LedgerBlock, next: LedgerPage, page: string): void {
    const now = next.blocks.find(({ index }) => index === entry.index);
    if (now?.state === 'Reserved') return;
    const node = this.#nodes.get(entry.uid) ?? '';
    if (now?.node === node && now.mac === entry.mac) return;
    const reservation = this.#server.get('overlayreservations', entry.reservation ?? '') as
      OverlayReservation | undefined;
    const expires = Date.parse(reservation?.spec.expiresAt ?? '');
    if (reservation?.metadata.uid !== entry.uid || expires < this.#now() + skewMs) return;
    // a node that holds another block of the space gets none; who looked at that page earlier may still think so
    if (next.retired === true || this.#holders.has(`${next.space} ${node}`)) return;
    const to = now?.node ?? 'nobody';
    throw new Violation('reserved', `${page}/${entry.index}, reserved for ${node}, goes to ${to}`, [
      entry,
      now,
      reservation,
    ]);
  }

  #hear(node: string, { spec: { vtep, networks = [] } }: OverlayAgent): void {
    const reported = this.#reported.get(node) ?? new Set();
    for (const text of [vtep?.ip ?? '', ...networks.flatMap(({ subnets }) => subnets)]) reported.add(text);
    this.#reported.set(node, reported);
  }

  #onlyOwn({ node, index }: LedgerBlock, space: string, reserved: readonly Claim[], page: string): void {
    const own = reserved.find((one) => one.node === node);
    const allocation = this.#server.get('agentallocations', node) as AgentAllocation | undefined;
    const reservation = this.#server.get('overlayreservations', own?.reservation ?? '');
    if (own === undefined || allocation === undefined || reservation?.metadata.uid !== own.uid) return;
    const expires = Date.parse((reservation as OverlayReservation).spec.expiresAt ?? '');
    const born = (uid: string | undefined) => this.#born.get(uid ?? '') ?? 0;
    if (expires < this.#now() + skewMs || born(own.uid) > born(allocation.metadata.uid)) return;
    // what its agent says to hold comes first, also of an agent that a leader who slept still sees
    const got = claimsOf(this.#server).find(
      (one) => one.space.cidr === space && one.index === index && one.node === node,
    );
    if (this.#reported.get(node)?.has(got?.text ?? '') === true) return;
    throw new Violation('reserved', `${node} gets ${page}/${index}, and ${own.text} is reserved for it`, [
      own,
      allocation,
      reservation,
    ]);
  }
}

function sameMAC({ metadata, spec: before }: AgentAllocation, { spec }: AgentAllocation): void {
  const [was, is] = [before.vtep, spec.vtep];
  if (was === undefined || is === undefined || was.ip !== is.ip || was.mac === is.mac) return;
  throw new Violation('mac', `${metadata.name}: ${was.mac} becomes ${is.mac}`, [before, spec]);
}

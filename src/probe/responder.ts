import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { messageOf } from '../error.ts';
import type { Family } from '../net/address.ts';
import type { Code, Layer } from '../verdict/paths.ts';
import {
  mostText,
  readRequest,
  renderAnswer,
  type FaultKind,
  type Request,
  type View,
} from '../verdict/wire.ts';

/** An address of a node: probes come from it, and answers go to it. */
export interface End {
  layer: Layer;
  family: Family;
  address: string;
}

/** The nodes whose probes are answered, and the addresses that answer. */
export interface Membership {
  /** This node's own addresses. */
  own: readonly End[];
  /** Node by address. */
  members: ReadonlyMap<string, string>;
  /** A node's VTEP. */
  vtepOf: (node: string, family: Family) => string | undefined;
}

interface Options {
  port: number;
  membership: () => Membership;
  /** Reads this kernel's faults on the way to a node. It may take seconds. */
  look: (peer: string) => Promise<FaultKind[] | undefined>;
  checksums: () => Promise<number | undefined>;
  without6: () => Promise<boolean>;
  now?: () => number;
}

/** How long the sockets stay closed after a flood, in ms. */
const closedMs = 10_000;
/** Limit of answers to one address. A check needs some tens of packets at once, and checks are rare. */
const answers = { most: 200, everyMs: 25 };
/** Limit of kernel reads for all nodes together. Each starts four processes, or eight if something is wrong. */
const looks = { most: 16, everyMs: 500 };
/** Checks that are remembered for one node. */
const mostChecks = 4;
/** Packets per second, from any sender, at which the sockets close: the kernel then drops packets at less cost. */
const flood = 2_000;

/** A token bucket: `most` tokens at first, and a new one every `everyMs`. */
class Bucket {
  readonly #size: { most: number; everyMs: number };
  #tokens: number;
  #at: number;

  constructor(size: { most: number; everyMs: number }, now: number) {
    this.#size = size;
    this.#tokens = size.most;
    this.#at = now;
  }

  take(now: number): boolean {
    const { most, everyMs } = this.#size;
    this.#tokens = Math.min(most, this.#tokens + Math.max(0, now - this.#at) / everyMs);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

interface Asker {
  /** The node's last checks, the oldest first. */
  checks: Map<string, { since: number; arrived: Set<Code> }>;
  heardAt: number;
  looked?: { since: number; faults: FaultKind[] | undefined };
  looking?: boolean;
}

/**
 * Answers probes of other nodes. It answers only requests from a member's address, with exactly as many bytes as the
 * request has, and a bounded number for each address.
 */
export class Responder {
  readonly #options: Options;
  readonly #sockets = new Map<string, Socket>();
  readonly #askers = new Map<string, Asker>();
  readonly #now: () => number;
  #packets = { second: 0, count: 0 };
  #closedUntil = 0;
  readonly #buckets = new Map<string, Bucket>();
  readonly #looks: Bucket;
  #checksums = 0;
  #without6 = false;
  #stopped = false;
  /** Why this node does not answer on one of its addresses, by address. */
  readonly problems = new Map<string, string>();

  constructor(options: Options) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#looks = new Bucket(looks, this.#now());
  }

  /** Listens on the node's present addresses, and on no others. An address that no link has yet is tried again next time. */
  async refresh(): Promise<void> {
    if (this.#stopped || this.#now() < this.#closedUntil) return;
    const { own, members } = this.#options.membership();
    const nodes = new Set(members.values());
    for (const node of this.#askers.keys()) if (!nodes.has(node)) this.#askers.delete(node);
    for (const address of this.#buckets.keys()) if (!members.has(address)) this.#buckets.delete(address);
    const wanted = new Set(own.map(({ address }) => address));
    for (const [address, socket] of this.#sockets) if (!wanted.has(address)) this.#drop(address, socket);
    for (const address of this.problems.keys()) if (!wanted.has(address)) this.problems.delete(address);
    this.#without6 = await this.#options.without6();
    await Promise.all(own.filter(({ address }) => !this.#sockets.has(address)).map((end) => this.#open(end)));
  }

  /** Addresses that this node answers on. */
  get listening(): string[] {
    return [...this.#sockets.keys()];
  }

  /** Whether a request of the node has arrived since a time, in ms since the epoch. */
  hasHeardFrom(node: string, since: number): boolean {
    return (this.#askers.get(node)?.heardAt ?? 0) >= since;
  }

  /** Sizes of the memory about senders, for tests of its bounds. */
  get remembered(): { members: number; addresses: number; checks: number } {
    const askers = [...this.#askers.values()];
    return {
      members: askers.length,
      addresses: this.#buckets.size,
      checks: askers.reduce((sum, { checks }) => sum + checks.size, 0),
    };
  }

  stop(): void {
    this.#stopped = true;
    for (const [address, socket] of this.#sockets) this.#drop(address, socket);
  }

  #drop(address: string, socket: Socket): void {
    this.#sockets.delete(address);
    socket.close();
  }

  #open({ address, family }: End): Promise<void> {
    return new Promise((resolve) => {
      const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', reuseAddr: false });
      socket.on('error', (error) => {
        this.problems.set(address, messageOf(error));
        if (this.#sockets.get(address) === socket) this.#drop(address, socket);
        else socket.close();
        resolve();
      });
      socket.on('message', (data, from) => {
        this.#take(socket, data, from);
      });
      socket.bind({ address, port: this.#options.port, exclusive: true }, () => {
        this.problems.delete(address);
        if (this.#stopped) socket.close();
        else this.#sockets.set(address, socket);
        resolve();
      });
    });
  }

  #take(socket: Socket, data: Buffer, from: RemoteInfo): void {
    if (this.#isFlood()) {
      this.#closedUntil = this.#now() + closedMs;
      for (const [address, one] of this.#sockets) this.#drop(address, one);
      return;
    }
    // an answer may not be larger than its request
    if (data.length < mostText) return;
    const node = this.#options.membership().members.get(from.address);
    if (node === undefined || !this.#allows(from.address)) return;
    const request = readRequest(data);
    if (request === undefined) return;
    const asker: Asker = this.#askers.get(node) ?? { checks: new Map(), heardAt: 0 };
    this.#askers.set(node, asker);
    const check = asker.checks.get(request.check) ?? { since: this.#now(), arrived: new Set() };
    check.arrived.add(request.path);
    asker.checks.set(request.check, check);
    for (const old of asker.checks.keys()) if (asker.checks.size > mostChecks) asker.checks.delete(old);
    asker.heardAt = this.#now();
    this.#look(node, asker, check.since);
    const way = this.#wayBack(socket, from, node, request);
    if (way === undefined) return;
    void this.#count()
      .then((checksums) => {
        // the socket may have closed meanwhile; the sender counts the answer as lost
        if (![...this.#sockets.values()].includes(way.socket)) return;
        const answer = renderAnswer(request, this.#viewFor(check, asker, checksums), data.length);
        way.socket.send(answer, way.port, way.address, () => undefined);
      })
      .catch(() => undefined);
  }

  /** Returns where the answer goes: back to the sender, or through the tunnel to its VTEP if the request asks for that. */
  #wayBack(
    socket: Socket,
    from: RemoteInfo,
    node: string,
    { cross }: Request,
  ): { socket: Socket; address: string; port: number } | undefined {
    if (cross === undefined) return { socket, address: from.address, port: from.port };
    const { own, vtepOf } = this.#options.membership();
    const end = own.find(({ layer, family }) => layer === 'overlay' && family === cross.family);
    const through = this.#sockets.get(end?.address ?? '');
    const address = vtepOf(node, cross.family);
    return through === undefined || address === undefined
      ? undefined
      : { socket: through, address, port: cross.port };
  }

  /** Reports faults only from a kernel read that began after the check did: older ones prove nothing about it. */
  #viewFor(
    { arrived, since }: { arrived: ReadonlySet<Code>; since: number },
    { looked }: Asker,
    checksums: number,
  ): View {
    const faults = looked !== undefined && looked.since >= since ? looked.faults : undefined;
    return {
      arrived: [...arrived],
      checksums,
      ...(faults === undefined ? {} : { faults }),
      without6: this.#without6,
    };
  }

  async #count(): Promise<number> {
    this.#checksums = (await this.#options.checksums()) ?? this.#checksums;
    return this.#checksums;
  }

  #isFlood(): boolean {
    const second = Math.floor(this.#now() / 1_000);
    if (this.#packets.second !== second) this.#packets = { second, count: 0 };
    return ++this.#packets.count > flood;
  }

  /**
   * Each address has a bucket of its own: a container may send with its node's address, and must not use up the answers
   * for the node's VTEP.
   */
  #allows(address: string): boolean {
    const known = this.#buckets.get(address) ?? new Bucket(answers, this.#now());
    this.#buckets.set(address, known);
    return known.take(this.#now());
  }

  /** Starts a kernel read in the background; later answers carry its result. */
  #look(node: string, asker: Asker, since: number): void {
    const now = this.#now();
    if (asker.looking === true || (asker.looked !== undefined && asker.looked.since >= since)) return;
    if (!this.#looks.take(now)) return;
    asker.looking = true;
    void this.#options
      .look(node)
      .catch(() => undefined)
      .then((faults) => {
        asker.looking = false;
        asker.looked = { since: now, faults };
      });
  }
}

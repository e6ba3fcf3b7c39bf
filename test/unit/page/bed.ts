import { jest } from '@jest/globals';
import { configure } from '@testing-library/preact';
import { pageOf } from '../../../src/rows/answer.ts';
import { pathRoute } from '../../../src/operator/path.ts';
import { tracePath } from '../../../src/rows/path.ts';
import { containerPage } from '../../../src/rows/containers.ts';
import { paged } from '../../../src/rows/entry.ts';
import { eventEntries, type StoredEvent } from '../../../src/rows/events.ts';
import { peerEntries } from '../../../src/rows/peers.ts';
import type { PeerRow } from '../../../src/rows/probe.ts';
import { parseQuery } from '../../../src/rows/query.ts';
import {
  kinds,
  type ContainerRow,
  type Kind,
  type LastPass,
  type Unanswered,
} from '../../../src/rows/row.ts';
import type { Hop } from '../../../src/rows/trace.ts';
import type { World } from '../../../src/rows/world.ts';

// its default is a second, which is too short on a busy machine
configure({ asyncUtilTimeout: 60_000 });

/** What stands in for an operator: the operator's own rows of a world, behind `fetch`. */
export class Operator {
  world: World;
  containers: ContainerRow[] = [];
  unanswered: Unanswered[] = [];
  /** The last pass of each node's agent. */
  readonly passes = new Map<string, LastPass>();
  events: StoredEvent[] = [];
  /** What probes of a node came to. */
  reached: PeerRow[] = [];
  /** Absent: none is asked for. */
  token: string | undefined;
  /** Answers with this status and these words instead. */
  refuse = new Map<Kind, [status: number, error: string]>();
  /** What agents say of a packet's way. */
  hops: Record<string, Hop[]> = {};
  readonly asked: { url: URL; authorization: string | undefined }[] = [];
  #feed: ReadableStreamDefaultController<Uint8Array> | undefined;
  #change = 0;

  constructor(world: World) {
    this.world = world;
    // jsdom has none of them
    Object.assign(globalThis, {
      fetch: async (url: URL, init: RequestInit) => this.#answer(url, init),
      matchMedia: () => ({ matches: false, addEventListener: jest.fn(), removeEventListener: jest.fn() }),
    });
    HTMLCanvasElement.prototype.getContext = (() => null) as never;
    for (const [name, value] of [
      ['clientHeight', 400],
      ['clientWidth', 1_000],
    ] as const)
      Object.defineProperty(Element.prototype, name, { configurable: true, value });
  }

  /** Something has changed. */
  tell(): void {
    this.#feed?.enqueue(new TextEncoder().encode(`data: ${++this.#change}\n\n`));
  }

  hangUp(): void {
    this.#feed?.error(new TypeError('network error'));
    this.#feed = undefined;
  }

  get follows(): boolean {
    return this.#feed !== undefined;
  }

  async #answer(url: URL, init: RequestInit): Promise<Response> {
    const authorization = (init.headers as Record<string, string>).authorization;
    this.asked.push({ url, authorization });
    if (this.token !== undefined && authorization !== `Bearer ${this.token}`)
      return Response.json({ error: 'the API server does not know this token' }, { status: 401 });
    if (url.pathname === '/api/v1/changes') return new Response(this.#stream());
    if (url.pathname === tracePath) return this.#path(url.search.slice(1));
    const kind = kinds.find((one) => url.pathname === `/api/v1/${one}`);
    // the page does not ask for kernels
    if (kind === undefined || kind === 'kernel')
      return Response.json({ error: 'no such path' }, { status: 404 });
    const refused = this.refuse.get(kind);
    if (refused !== undefined) return Response.json({ error: refused[1] }, { status: refused[0] });
    const query = parseQuery(kind, url.search.slice(1));
    const page =
      kind === 'events'
        ? paged(kind, eventEntries(this.events), query)
        : kind === 'containers'
          ? {
              ...containerPage(this.containers, query),
              unanswered: this.unanswered,
              pass: this.passes.get(query.node ?? ''),
            }
          : kind === 'peers'
            ? { ...paged(kind, peerEntries(this.reached), query), unanswered: [] }
            : pageOf(kind, this.world, query);
    return Response.json({ version: '0.1.0', ...page });
  }

  async #path(query: string): Promise<Response> {
    const refused = this.refuse.get('containers');
    if (refused !== undefined) return Response.json({ error: refused[1] }, { status: refused[0] });
    const peers = {
      containers: () => Promise.resolve({ rows: this.containers, unanswered: this.unanswered }),
      trace: (node: string) => Promise.resolve({ hops: this.hops[node] ?? [] }),
    };
    const { status, body } = await pathRoute(
      () => this.world,
      peers,
      () => undefined,
    )(query);
    return new Response(String(body), { status, headers: { 'content-type': 'application/json' } });
  }

  #stream(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      start: (controller) => {
        this.#feed = controller;
        controller.enqueue(new TextEncoder().encode(`data: ${this.#change}\n\n`));
      },
    });
  }
}

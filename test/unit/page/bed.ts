import { jest } from '@jest/globals';
import { pageOf } from '../../../src/rows/answer.ts';
import { containerEntries } from '../../../src/rows/containers.ts';
import { paged } from '../../../src/rows/entry.ts';
import { parseQuery } from '../../../src/rows/query.ts';
import { kinds, type ContainerRow, type Kind, type Unanswered } from '../../../src/rows/row.ts';
import type { World } from '../../../src/rows/world.ts';

/** What stands in for an operator: the operator's own rows of a world, behind `fetch`. */
export class Operator {
  world: World;
  containers: ContainerRow[] = [];
  unanswered: Unanswered[] = [];
  /** Absent: none is asked for. */
  token: string | undefined;
  /** Answers with this status and these words instead. */
  refuse = new Map<Kind, [status: number, error: string]>();
  readonly asked: { url: URL; authorization: string | undefined }[] = [];
  #feed: ReadableStreamDefaultController<Uint8Array> | undefined;
  #change = 0;

  constructor(world: World) {
    this.world = world;
    // jsdom has none of them
    Object.assign(globalThis, {
      fetch: (url: URL, init: RequestInit) => Promise.resolve(this.#answer(url, init)),
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

  #answer(url: URL, init: RequestInit): Response {
    const authorization = (init.headers as Record<string, string>).authorization;
    this.asked.push({ url, authorization });
    if (this.token !== undefined && authorization !== `Bearer ${this.token}`)
      return Response.json({ error: 'the API server does not know this token' }, { status: 401 });
    if (url.pathname === '/api/v1/changes') return new Response(this.#stream());
    const kind = kinds.find((one) => url.pathname === `/api/v1/${one}`);
    // the page does not ask for kernels
    if (kind === undefined || kind === 'kernel')
      return Response.json({ error: 'no such path' }, { status: 404 });
    const refused = this.refuse.get(kind);
    if (refused !== undefined) return Response.json({ error: refused[1] }, { status: refused[0] });
    const query = parseQuery(kind, url.search.slice(1));
    const page =
      kind === 'containers'
        ? { ...paged(kind, containerEntries(this.containers), query), unanswered: this.unanswered }
        : pageOf(kind, this.world, query);
    return Response.json({ version: '0.1.0', ...page });
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

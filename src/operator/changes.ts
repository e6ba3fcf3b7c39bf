import { json, type Reply, type Stream } from '../serve/http.ts';

/** In ms. */
interface ChangeTimes {
  /** Changes within this time are sent as one. */
  tick: number;
  /** Something is sent at least this often, so that a page can tell that its connection is lost. */
  heartbeat: number;
  /** A stream ends after this time. A page that continues sends its token again. */
  most: number;
}

const times: ChangeTimes = { tick: 1_000, heartbeat: 10_000, most: 300_000 };
const mostListeners = 200;

type Client = Parameters<Stream['begin']>[0];

/**
 * Tells pages that something changed, as server-sent events. An event does not say what changed: a page asks for its
 * rows again. One timer serves all pages, and a change costs one short write for each page, however many objects
 * changed.
 */
export class Changes {
  readonly #times: ChangeTimes;
  readonly #listeners = new Map<Client, number>();
  #timer: NodeJS.Timeout | undefined;
  #change = 0;
  #sentChange = 0;
  #sentAt = 0;

  constructor(own: Partial<ChangeTimes> = {}) {
    this.#times = { ...times, ...own };
  }

  /** Notes that the data of some row has changed. */
  mark(): void {
    this.#change++;
  }

  /** Opens a stream for one more page. */
  follow(): Reply | Stream {
    if (this.#listeners.size >= mostListeners)
      return { ...json(429, { error: `${mostListeners} follow already` }), headers: { 'retry-after': '30' } };
    return {
      contentType: 'text/event-stream',
      begin: (client) => {
        this.#listeners.set(client, Date.now() + this.#times.most);
        client.send(this.#event());
        this.#timer ??= setInterval(() => {
          this.#sendEvent();
        }, this.#times.tick);
        return () => {
          this.#listeners.delete(client);
          if (this.#listeners.size > 0) return;
          clearInterval(this.#timer);
          this.#timer = undefined;
        };
      },
    };
  }

  #sendEvent(): void {
    const now = Date.now();
    const isNews = this.#change !== this.#sentChange;
    if (!isNews && now - this.#sentAt < this.#times.heartbeat) return;
    this.#sentChange = this.#change;
    this.#sentAt = now;
    const text = isNews ? this.#event() : ': \n\n';
    for (const [client, until] of this.#listeners) if (!client.send(text) || now > until) client.end();
  }

  #event(): string {
    return `data: ${this.#change}\n\n`;
  }
}

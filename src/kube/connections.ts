import {
  Agent as HTTPAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HTTPSAgent, request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { Credentials } from './config.ts';

/** Writes in a burst wait for one of these instead of each opening its own; every watch holds one. */
const most = 64;
/** After which an idle one is closed: sooner than the API server does, which would meet the next request. */
const idleMs = 60_000;
/** Of a connection on which nothing comes, whether the other side is there still. */
const probeAfterMs = 30_000;

export interface Call {
  method: string;
  /** With the query. */
  path: string;
  headers: Record<string, string>;
  body?: string;
}

/** Kept connections to one server, each for one request at a time. Made anew where certificates change. */
export class Connections {
  readonly #origin: URL;
  readonly #connectMs: number;
  readonly #agent: HTTPAgent;
  readonly #request: typeof httpRequest;

  /** @param options.connectMs what a connection may take to stand, its handshake included */
  constructor({ origin, tls, connectMs }: { origin: URL; tls: Credentials['tls']; connectMs: number }) {
    this.#origin = origin;
    this.#connectMs = connectMs;
    const kept = { keepAlive: true, keepAliveMsecs: probeAfterMs, maxSockets: most, timeout: idleMs };
    const secure = origin.protocol === 'https:';
    this.#agent = secure ? new HTTPSAgent({ ...kept, ...tls }) : new HTTPAgent(kept);
    this.#request = secure ? httpsRequest : httpRequest;
  }

  /** The answer, its body unread. The signal ends it whenever it fires, also while the body is read. @throws Error */
  send({ method, path, headers, body }: Call, signal: AbortSignal): Promise<IncomingMessage> {
    const { hostname, port } = this.#origin;
    // without it Node sends the body of a DELETE as if there were none
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const options: RequestOptions = {
      agent: this.#agent,
      // an IPv6 address has brackets in a URL alone
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port,
      method,
      path,
      headers: { ...headers, ...length },
      signal,
    };
    return new Promise((resolve, reject) => {
      let answered = false;
      const request = this.#request(options, (answer) => {
        answered = true;
        resolve(answer);
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        // a kept connection that the other side closed just now; a write may have been done all the same
        const stale = request.reusedSocket && error.code === 'ECONNRESET' && !signal.aborted;
        if (stale && !answered && method === 'GET') resolve(this.send({ method, path, headers }, signal));
        else reject(error);
      });
      request.on('socket', (socket) => {
        if (socket.connecting) this.#limit(socket, request);
      });
      request.end(body);
    });
  }

  /** Takes no more requests; those that run end in peace. */
  retire(): void {
    this.#agent.maxFreeSockets = 0;
    for (const sockets of Object.values(this.#agent.freeSockets))
      sockets?.forEach((socket) => socket.destroy());
  }

  /** Cuts all. */
  destroy(): void {
    this.#agent.destroy();
  }

  /** Ends the request where its connection does not stand in time. */
  #limit(socket: Socket, request: ClientRequest): void {
    socket.setKeepAlive(true, probeAfterMs);
    const timer = setTimeout(() => {
      request.destroy(new Error(`no connection within ${this.#connectMs} ms`));
    }, this.#connectMs);
    const stop = () => {
      clearTimeout(timer);
    };
    socket.once(this.#agent instanceof HTTPSAgent ? 'secureConnect' : 'connect', stop);
    socket.once('close', stop);
  }
}

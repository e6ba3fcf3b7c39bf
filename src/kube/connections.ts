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

/** Maximum number of connections. Writes in a burst share them; each watch occupies one. */
const most = 64;
/** An idle connection is closed after this time: before the API server closes it, which could break the next request. */
const idleMs = 60_000;
/** Interval of TCP keepalive probes on a silent connection. */
const probeAfterMs = 30_000;

export interface Call {
  method: string;
  /** Path with the query. */
  path: string;
  headers: Record<string, string>;
  body?: string;
}

/** A pool of kept connections to one server, each for one request at a time. It is replaced when certificates change. */
export class Connections {
  readonly #origin: URL;
  readonly #connectMs: number;
  readonly #agent: HTTPAgent;
  readonly #request: typeof httpRequest;

  /** @param options.connectMs time limit for opening a connection, with the TLS handshake */
  constructor({ origin, tls, connectMs }: { origin: URL; tls: Credentials['tls']; connectMs: number }) {
    this.#origin = origin;
    this.#connectMs = connectMs;
    const kept = { keepAlive: true, keepAliveMsecs: probeAfterMs, maxSockets: most, timeout: idleMs };
    const secure = origin.protocol === 'https:';
    this.#agent = secure ? new HTTPSAgent({ ...kept, ...tls }) : new HTTPAgent(kept);
    this.#request = secure ? httpsRequest : httpRequest;
  }

  /** Returns the answer with its body unread. The signal can end the request at any time, also during the body. @throws Error */
  send({ method, path, headers, body }: Call, signal: AbortSignal): Promise<IncomingMessage> {
    const { hostname, port } = this.#origin;
    // without this header, Node sends the body of a DELETE without a length
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const options: RequestOptions = {
      agent: this.#agent,
      // an IPv6 address has brackets only in a URL
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
        // the server closed the kept connection just now; a write may have been done nevertheless
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

  /** Accepts no more requests. Running ones finish. */
  retire(): void {
    this.#agent.maxFreeSockets = 0;
    for (const sockets of Object.values(this.#agent.freeSockets))
      sockets?.forEach((socket) => socket.destroy());
  }

  /** Closes all connections at once. */
  destroy(): void {
    this.#agent.destroy();
  }

  /** Ends the request if its connection is not open in time. */
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

import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';

const listening = async (server: net.Server): Promise<number> => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

/** Passes bytes to the API server, counts connections, and can drop all bytes while connections stay open. */
export class TcpProxy {
  /** Connections accepted since the start. */
  connections = 0;
  url = '';
  #deaf = false;
  readonly #server: net.Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: URL) {
    this.#server = net.createServer((client) => {
      this.connections++;
      const upstream = net.connect(Number(target.port), target.hostname);
      this.#join(client, upstream);
      this.#join(upstream, client);
    });
  }

  static async to(server: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(new URL(server));
    proxy.url = `https://127.0.0.1:${await listening(proxy.#server)}`;
    return proxy;
  }

  /** Drops all bytes of all connections, old and new, until heal(). */
  blackHole(): void {
    this.#deaf = true;
  }

  /** New connections pass bytes again. Old ones stay dead, as after a firewall lost their state. */
  heal(): void {
    for (const socket of this.#sockets) socket.removeAllListeners('data').resume();
    this.#deaf = false;
  }

  get open(): number {
    return this.#sockets.size / 2;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('data', (chunk) => {
      if (!this.#deaf) to.write(chunk);
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}

export interface Fault {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

/** A proxy that speaks plain HTTP, so that it can answer in place of the API server. */
export class HttpProxy {
  url = '';
  /** Every request: `GET /api/v1/nodes?watch=true`. */
  readonly requests: string[] = [];
  /** Every answer of the API server, with its status: `200 GET /api/v1/nodes?watch=true`. */
  readonly answers: string[] = [];
  /** Returns an answer that replaces the API server's. */
  fault: (method: string, url: string) => Fault | undefined = () => undefined;
  readonly #server: http.Server;

  private constructor(target: URL) {
    this.#server = http.createServer((request, response) => {
      const { method = '', url = '', headers } = request;
      this.requests.push(`${method} ${url}`);
      const fault = this.fault(method, url);
      if (fault !== undefined) {
        response.writeHead(fault.status, fault.headers).end(fault.body ?? '');
        return;
      }
      const options = { method, headers, rejectUnauthorized: false };
      const forward = https.request(new URL(url, target), options, (answer) => {
        this.answers.push(`${answer.statusCode} ${method} ${url}`);
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        // a watch is open before its first event
        response.flushHeaders();
        answer.pipe(response);
        answer.on('error', () => response.destroy());
      });
      forward.on('error', () => response.destroy());
      response.on('close', () => forward.destroy());
      request.pipe(forward);
    });
  }

  static async to(server: string): Promise<HttpProxy> {
    const proxy = new HttpProxy(new URL(server));
    proxy.url = `http://127.0.0.1:${await listening(proxy.#server)}`;
    return proxy;
  }

  /** Closes every connection. New ones are accepted. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

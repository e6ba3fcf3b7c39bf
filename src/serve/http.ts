import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { isIP, type AddressInfo, type Socket } from 'node:net';
import { CutOff, largestBody, readBody } from './body.ts';
import { ServerCertificate, type CertificateOptions } from './certificate.ts';
import { Gate, HTTPRefusal, type Reviewer } from './gate.ts';
import type { User } from './review.ts';
import { faultOf, type Log } from '../log.ts';
import { Quota } from './quota.ts';
import { messageOf } from '../error.ts';
import { send, type Reply, type Stream } from './send.ts';

export type { Reply, Stream };

/** Answers GET and HEAD of one path. @param query the text after `?`, or empty */
type Read = (query: string) => Reply | Stream | Promise<Reply | Stream>;

/** Answers GET and HEAD without a token, for files that are the same for all users. */
interface Open {
  open: () => Reply;
}

/** A POST request as its handler sees it. */
export interface Posted {
  body: string;
  /** The user's name; absent on a loopback address, where requests are not authenticated. */
  by?: string;
}

/** Answers POST of one path. The body is JSON of at most 64 KiB. */
interface Write {
  post: (request: Posted) => Reply | Promise<Reply>;
}

export type Route = Read | Open | Write;

export interface Server {
  /** `host:port` as bound; differs from what was asked for when the port was 0. */
  address: string;
  /** What it shows of itself now, PEM; undefined in the clear. */
  certificate(): string | undefined;
  close(): Promise<void>;
}

/** The --listen address cannot be used. The user sees the message on one line, without a stack. */
export class ListenError extends Error {
  override name = 'ListenError';
}

export const json = (status: number, value: unknown): Reply => ({
  status,
  contentType: 'application/json',
  body: `${JSON.stringify(value, undefined, 2)}\n`,
});

export const text = (status: number, body: string): Reply => ({
  status,
  contentType: 'text/plain; charset=utf-8',
  body: `${body}\n`,
});

/** Paths that need no token, because kubelet's probes send none. */
const free = new Set(['/healthz', '/readyz']);

/** Limits in ms, bytes and sockets. A client that is slow or sends too much is cut off. */
const limits = {
  maxHeaderSize: 16_384,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 5_000,
};
const idleMs = 30_000;
const handshakeMs = 5_000;
/** Connections from one address. A container has only its own addresses, so it cannot keep others out. */
const connectionsEach = 32;
/**
 * Connections from all other machines and containers together. The node's own connections, whose source and
 * destination address are the same, are counted separately. Kubelet's probes are among them, so a flood from outside
 * does not get this process restarted.
 */
const connections = 512;

/**
 * Serves `routes` by exact path. Other paths get 404; other methods than a route's get 405 with `Allow`. A loopback
 * address gets plain HTTP without authentication. Any other address gets HTTPS, where all paths but `/healthz` and
 * `/readyz` need the bearer token of an authorised user.
 * @param options.listen `127.0.0.1:9181` or `[::1]:9181`; `:9181` listens on every address, of both families where
 * the host has both
 * @throws ListenError if `listen` is malformed or cannot be bound; CertificateError
 */
export async function serve(options: {
  listen: string;
  routes: Record<string, Route>;
  log: Log;
  /** When absent, only a loopback address can be listened on. */
  secure?: { certificate: CertificateOptions; reviewer: Reviewer };
}): Promise<Server> {
  const { log, secure } = options;
  const { host, port } = parseListen(options.listen);
  const routes = new Map(Object.entries(options.routes));
  const { server, stop, certificate } = isLoopback(host)
    ? plain(routes, log)
    : guarded(options.listen, routes, log, secure);
  const sockets = new Set<Socket>();
  const each = new Quota(connectionsEach);
  const all = new Quota(connections);
  server.on('connection', (socket: Socket) => {
    const { remoteAddress = '', localAddress } = socket;
    const from = remoteAddress === localAddress ? 'node' : 'outside';
    if (each.full(remoteAddress) || all.full(from)) {
      socket.destroy();
      return;
    }
    each.take(remoteAddress);
    all.take(from);
    sockets.add(socket);
    socket.once('close', () => {
      each.release(remoteAddress);
      all.release(from);
      sockets.delete(socket);
    });
  });
  server.setTimeout(idleMs);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === 'EADDRINUSE' ? 'another process listens there' : cause.message;
      reject(new ListenError(`cannot listen on ${options.listen}: ${reason}`, { cause }));
    });
    // without a host, Node binds [::] for both families, or 0.0.0.0 on a node without IPv6
    server.listen({ port, ...(host === '' ? {} : { host }) }, resolve);
  });
  server.on('error', (error) => {
    log.error('HTTP server', { object: options.listen, command: 'listen', output: error });
  });
  const bound = server.address() as AddressInfo;
  const shown = host === '' ? bound.address : host;
  return {
    address: `${isIP(shown) === 6 ? `[${shown}]` : shown}:${bound.port}`,
    certificate,
    close: () =>
      new Promise((resolve) => {
        stop();
        server.close(() => {
          resolve();
        });
        // this includes sockets in the middle of a TLS handshake
        for (const socket of sockets) socket.destroy();
      }),
  };
}

type Routes = ReadonlyMap<string, Route>;

function plain(routes: Routes, log: Log) {
  const server = createPlainServer(limits, (request, response) => {
    handle(routes, request, response, log);
  });
  return { server, stop: () => undefined, certificate: () => undefined };
}

function guarded(
  listen: string,
  routes: Routes,
  log: Log,
  secure: { certificate: CertificateOptions; reviewer: Reviewer } | undefined,
) {
  if (secure === undefined)
    throw new ListenError(`cannot listen on ${listen}: only loopback is served in the clear`);
  const certificate = new ServerCertificate(secure.certificate, log);
  const gate = new Gate(secure.reviewer);
  const tls = { ...certificate.pair, minVersion: 'TLSv1.2', handshakeTimeout: handshakeMs } as const;
  const server = createSecureServer({ ...limits, ...tls }, (request, response) => {
    handle(routes, request, response, log, gate);
  });
  const stop = certificate.follow((pair) => {
    server.setSecureContext({ ...tls, ...pair });
  });
  return { server, stop, certificate: () => certificate.pair.cert };
}

/** Whether `host` is a loopback address. Names do not count, because a name can resolve to any address. */
const isLoopback = (host: string): boolean => host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));

/**
 * Splits HOST:PORT. `host` is empty when it means every address.
 * @throws ListenError
 */
export function parseListen(listen: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(listen);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  if (match === null || port > 65_535 || (match[1] !== undefined && isIP(host) !== 6)) {
    throw new ListenError(`--listen "${listen}" is not of the form HOST:PORT, [IPv6]:PORT or :PORT`);
  }
  return { host, port };
}

function handle(
  routes: Routes,
  request: IncomingMessage,
  response: ServerResponse,
  log: Log,
  gate?: Gate,
): void {
  answer(routes, request, log, gate)
    .then((reply) => send(request, response, reply))
    .catch((error: unknown) => {
      const { method = '', url = '' } = request;
      log.error('reply failed', { object: url, command: `${method} ${url}`, output: error });
      response.destroy();
    });
}

async function answer(
  routes: Routes,
  request: IncomingMessage,
  log: Log,
  gate?: Gate,
): Promise<Reply | Stream> {
  const url = request.url ?? '/';
  const path = url.replace(/[?#].*/s, '');
  const method = request.method ?? '';
  try {
    const route = routes.get(path);
    const isFree = gate === undefined || free.has(path) || (typeof route === 'object' && 'open' in route);
    const user = isFree ? undefined : await gate.authenticate(request);
    if (user instanceof HTTPRefusal) return refused(user);
    if (route === undefined) {
      return json(404, { error: `no such path; there are ${[...routes.keys()].join(', ')}` });
    }
    const allowed = 'post' in route ? ['POST'] : ['GET', 'HEAD'];
    if (!allowed.includes(method)) {
      return { ...json(405, { error: `${method} is not allowed` }), headers: { allow: allowed.join(', ') } };
    }
    const refusal = user && (await gate?.authorize(user, method, path));
    if (refusal !== undefined) return refused(refusal);
    if ('open' in route) return route.open();
    return typeof route === 'function'
      ? await route(url.slice(path.length + 1))
      : await take(route, request, user);
  } catch (error) {
    if (error instanceof CutOff) {
      log.debug('request failed', faultOf(path, error, `${method} ${path}`));
      return json(400, { error: error.message });
    }
    const message = messageOf(error);
    log.error('request failed', { object: path, command: `${method} ${path}`, output: message });
    return json(500, { error: message });
  }
}

/** Handles a POST. The body is read only here, once its sender is known to be allowed. */
async function take({ post }: Write, request: IncomingMessage, user: User | undefined): Promise<Reply> {
  // without a CORS preflight, a web page can send any other type to a loopback address
  if (!/^application\/json *(;|$)/i.test(request.headers['content-type'] ?? '')) {
    return json(415, { error: 'content-type must be application/json' });
  }
  const body = await readBody(request);
  if (body === undefined) return json(413, { error: `the body has more than ${largestBody} bytes` });
  return post({ body, ...(user && { by: user.username }) });
}

const refused = ({ status, error, headers }: HTTPRefusal): Reply => ({ ...json(status, { error }), headers });

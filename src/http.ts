import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { Log } from './log.ts';

export interface Reply {
  status: number;
  contentType: string;
  body: string;
}

/** Answers GET and HEAD of one path. */
export type Route = () => Reply | Promise<Reply>;

export interface Server {
  /** `host:port` as bound, so that port 0 can be asked for. */
  address: string;
  close(): Promise<void>;
}

/** A --listen that cannot be: for one line to the user, without a stack. */
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

/**
 * Serves `routes` by exact path, GET and HEAD alone: 405 with `Allow` for other methods, 404 for other paths.
 * @param options.listen `127.0.0.1:9181`, `[::1]:9181`
 * @throws ListenError where `listen` is malformed or cannot be bound
 */
export async function serve(options: {
  listen: string;
  routes: Record<string, Route>;
  log: Log;
}): Promise<Server> {
  const { host, port } = parseListen(options.listen);
  const routes = new Map(Object.entries(options.routes));
  const server = createServer((request, response) => {
    void answer(routes, request, options.log).then((reply) => {
      send(request, response, reply);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === 'EADDRINUSE' ? 'another process listens there' : cause.message;
      reject(new ListenError(`cannot listen on ${options.listen}: ${reason}`, { cause }));
    });
    server.listen(port, host, resolve);
  });
  server.on('error', (error) => {
    options.log.error('HTTP server', { error: error.message });
  });
  const bound = server.address();
  const boundPort = bound !== null && typeof bound === 'object' ? bound.port : port;
  return {
    address: `${isIP(host) === 6 ? `[${host}]` : host}:${boundPort}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

/** @throws ListenError */
export function parseListen(listen: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(listen);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  if (match === null || port > 65_535 || (match[1] !== undefined && isIP(host) !== 6)) {
    throw new ListenError(`--listen "${listen}" is not of the form HOST:PORT or [IPv6]:PORT`);
  }
  return { host, port };
}

async function answer(routes: Map<string, Route>, request: IncomingMessage, log: Log): Promise<Reply> {
  const path = (request.url ?? '/').replace(/[?#].*/s, '');
  const route = routes.get(path);
  if (route === undefined)
    return json(404, { error: `no such path; there are ${[...routes.keys()].join(', ')}` });
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return json(405, { error: `${request.method ?? ''} is not allowed` });
  }
  try {
    return await route();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    log.error('request failed', { path, error: message });
    return json(500, { error: message });
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, contentType, body }: Reply,
): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { KubeConfig } from '@kubernetes/client-node';
import { readCredentials, type Credentials } from './config.ts';
import { Connections } from './connections.ts';
import { apiError } from './error.ts';
import { untilAborted } from './wait.ts';
import { isErrno, messageOf, WorkError } from '../error.ts';

/** Time limits, all in ms. */
export interface TimeLimits {
  connectMs: number;
  /** From sending the request to the last byte of the answer. */
  requestMs: number;
  /** The same for each page of a list. */
  listMs: number;
  /**
   * A watch that receives nothing for this long ends. The API server sends a bookmark every minute, except while its
   * cache of the kind is as old as the watch, that is until an object of the kind changes or a client lists them.
   */
  silenceMs: number;
  /** How long certificates and tokens are used before their files are read again. */
  credentialsMs: number;
}

export const timeLimits: TimeLimits = {
  connectMs: 10_000,
  requestMs: 15_000,
  listMs: 30_000,
  silenceMs: 150_000,
  credentialsMs: 10_000,
};

export interface Request {
  /** The request for use in messages: `update overlaynetworks/dcos`. */
  what: string;
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  contentType?: string;
  accept?: string;
}

/** A request that was answered (`code`: the HTTP status) or had no answer (`code` 0), and the time until then. */
export interface Answered {
  /** The first word of `what`: `update`. */
  verb: string;
  code: number;
  seconds: number;
}

/** How the API server is reached outside the pool of connections. */
export interface Access extends Credentials {
  origin: URL;
  timeoutMs: number;
}

/** What Node throws where the server ends a connection in the midst of an answer says neither what was asked nor why. */
export const brokenOff = (what: string, error: unknown): unknown =>
  isErrno(error, 'ECONNRESET')
    ? new WorkError(what, `${what}: the server ended the connection (${messageOf(error)})`, { cause: error })
    : error;

/**
 * Talks to one API server over a pool of kept connections. HTTP/1.1 is used because with HTTP/2 all requests share
 * one connection, and a black-holed connection would stop the watches for minutes.
 */
export class Transport {
  readonly limits: TimeLimits;
  readonly #config: KubeConfig;
  readonly #onAnswer: (request: Answered) => void;
  readonly #origin: URL;
  #connections: Connections | undefined;
  #credentials: Credentials | undefined;
  #readAt = -Infinity;

  /** @param onAnswer called for each request when its answer begins, or when there is none */
  constructor(
    config: KubeConfig,
    limits: Partial<TimeLimits> = {},
    onAnswer: (request: Answered) => void = () => undefined,
  ) {
    this.#onAnswer = onAnswer;
    this.limits = { ...timeLimits, ...limits };
    this.#config = config;
    this.#origin = new URL(config.getCurrentCluster()?.server ?? '');
  }

  get server(): string {
    return this.#origin.origin;
  }

  /** What a connection of another kind needs. */
  async access(): Promise<Access> {
    this.#credentials ??= await readCredentials(this.#config);
    const { tls, headers } = this.#credentials;
    return { origin: this.#origin, tls, headers, timeoutMs: this.limits.requestMs };
  }

  /**
   * Sends a request and returns a 2xx answer whose body is unread.
   * @throws ApiError for any other answer, Error with `cause` if there was none
   */
  async open(request: Request, signal: AbortSignal): Promise<IncomingMessage> {
    let response = await this.#send(request, signal);
    if (response.statusCode === 401) {
      // the token may have been replaced since it was read; nothing was done yet, so any request can be repeated
      await text(response);
      this.#readAt = -Infinity;
      response = await this.#send(request, signal);
    }
    const { statusCode = 0, headers } = response;
    if (statusCode >= 200 && statusCode < 300) return response;
    throw apiError(request.what, statusCode, headers['retry-after'], await text(response));
  }

  /** Sends a request and returns the whole answer within `timeoutMs`. */
  async text(request: Request, timeoutMs = this.limits.requestMs, signal?: AbortSignal): Promise<string> {
    const expired = AbortSignal.timeout(timeoutMs);
    const either = signal === undefined ? expired : AbortSignal.any([signal, expired]);
    try {
      return await text(await this.open(request, either));
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      if (!expired.aborted) throw brokenOff(request.what, error);
      this.replaceConnections();
      throw new WorkError(request.what, `${request.what}: no answer within ${timeoutMs} ms`, {
        cause: error,
      });
    }
  }

  async json(request: Request, timeoutMs?: number, signal?: AbortSignal): Promise<unknown> {
    return JSON.parse(await this.text(request, timeoutMs, signal)) as unknown;
  }

  /**
   * Uses new connections for further requests: where one connection is dead, idle ones to the same server usually are
   * too. Running requests finish undisturbed.
   */
  replaceConnections(): void {
    this.#connections?.retire();
    this.#connections = undefined;
  }

  /** Closes all connections. */
  close(): void {
    this.#connections?.destroy();
    this.#connections = undefined;
  }

  async #send(request: Request, signal: AbortSignal): Promise<IncomingMessage> {
    const [verb = ''] = request.what.split(' ', 1);
    const startedAt = performance.now();
    const answered = (code: number) => {
      this.#onAnswer({ verb, code, seconds: (performance.now() - startedAt) / 1_000 });
    };
    try {
      const response = await this.#sendOnce(request, signal);
      answered(response.statusCode ?? 0);
      return response;
    } catch (error) {
      answered(0);
      throw error;
    }
  }

  async #sendOnce(request: Request, signal: AbortSignal): Promise<IncomingMessage> {
    const url = new URL(this.#origin.pathname.replace(/\/$/, '') + request.path, this.#origin);
    for (const [key, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    const { method, accept = 'application/json', contentType = 'application/json' } = request;
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    try {
      const { connections, headers } = await this.#ready();
      const call = {
        method,
        path: url.pathname + url.search,
        headers: {
          ...headers,
          'user-agent': 'overlaynet',
          accept,
          ...(body === undefined ? {} : { 'content-type': contentType }),
        },
        ...(body === undefined ? {} : { body }),
      };
      // of an aborted request Node tells that it was, and not why
      return await untilAborted(connections.send(call, signal), signal);
    } catch (error) {
      throw new WorkError(request.what, `${request.what}: ${messageOf(error)}`, { cause: error });
    }
  }

  async #ready(): Promise<{ connections: Connections; headers: Record<string, string> }> {
    if (this.#credentials === undefined || performance.now() - this.#readAt > this.limits.credentialsMs) {
      const fresh = await readCredentials(this.#config);
      const changed = JSON.stringify(fresh.tls) !== JSON.stringify(this.#credentials?.tls);
      this.#credentials = fresh;
      this.#readAt = performance.now();
      if (changed) this.replaceConnections();
    }
    const { tls, headers } = this.#credentials;
    this.#connections ??= new Connections({ origin: this.#origin, tls, connectMs: this.limits.connectMs });
    return { connections: this.#connections, headers };
  }
}

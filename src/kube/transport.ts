import type { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher } from 'undici';
import { readCredentials, type Credentials } from './config.ts';
import { apiError, messageOf } from './error.ts';
import { untilAborted } from './wait.ts';

/** All in ms. */
export interface TimeLimits {
  connectMs: number;
  /** From the request to the last byte of its answer. */
  requestMs: number;
  /** The same for a list, page by page. */
  listMs: number;
  /**
   * A watch on which nothing came for so long ends. The API server sends a bookmark every minute, but none while its
   * cache of the kind is as old as the watch: until one of the kind changes, or somebody lists it.
   */
  silenceMs: number;
  /** How long certificates and tokens count as fresh before their files are read again. */
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
  /** For messages: `update overlaynetworks/dcos`. */
  what: string;
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  contentType?: string;
  accept?: string;
}

/** How the API server is reached beside the pool of connections. */
export interface Access extends Credentials {
  origin: URL;
  timeoutMs: number;
}

/**
 * One API server over one pool of kept connections. HTTP/1.1: with HTTP/2 all requests share a connection, and one
 * that is black-holed takes the watches with it for minutes.
 */
export class Transport {
  readonly limits: TimeLimits;
  readonly #config: KubeConfig;
  readonly #origin: URL;
  #agent: Agent | undefined;
  #credentials: Credentials | undefined;
  #readAt = -Infinity;

  constructor(config: KubeConfig, limits: Partial<TimeLimits> = {}) {
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

  /** A 2xx answer, its body unread. @throws ApiError for any other, Error with `cause` if there was none. */
  async open(request: Request, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    let response = await this.#send(request, signal);
    if (response.statusCode === 401) {
      // perhaps the token was replaced since it was read; nothing was done yet, so that any request may be repeated
      await response.body.dump();
      this.#readAt = -Infinity;
      response = await this.#send(request, signal);
    }
    if (response.statusCode >= 200 && response.statusCode < 300) return response;
    const retryAfter = response.headers['retry-after'];
    const text = await response.body.text();
    throw apiError(
      request.what,
      response.statusCode,
      Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
      text,
    );
  }

  /** The whole answer within `timeoutMs`. */
  async text(request: Request, timeoutMs = this.limits.requestMs, signal?: AbortSignal): Promise<string> {
    const expired = AbortSignal.timeout(timeoutMs);
    const either = signal === undefined ? expired : AbortSignal.any([signal, expired]);
    try {
      const response = await this.open(request, either);
      return await response.body.text();
    } catch (error) {
      if (!expired.aborted) throw error;
      this.replaceConnections();
      throw new Error(`${request.what}: no answer within ${timeoutMs} ms`, { cause: error });
    }
  }

  async json(request: Request, timeoutMs?: number, signal?: AbortSignal): Promise<unknown> {
    return JSON.parse(await this.text(request, timeoutMs, signal)) as unknown;
  }

  /** For requests to come: where one connection is dead, the idle ones beside it mostly are too. Running requests end in peace. */
  replaceConnections(): void {
    const old = this.#agent;
    this.#agent = undefined;
    old?.close().catch(() => undefined);
  }

  /** Cuts all connections. */
  async close(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await agent?.destroy();
  }

  async #send(request: Request, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const url = new URL(this.#origin.pathname.replace(/\/$/, '') + request.path, this.#origin);
    for (const [key, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    try {
      const { agent, headers } = await this.#ready();
      const answer = agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: request.method,
        signal,
        headers: {
          ...headers,
          'user-agent': 'overlaynet',
          accept: request.accept ?? 'application/json',
          ...(request.body === undefined
            ? {}
            : { 'content-type': request.contentType ?? 'application/json' }),
        },
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      });
      // undici heeds the signal only once the request is on a connection: not while that is being made, or waited for
      return await untilAborted(answer, signal);
    } catch (error) {
      throw new Error(`${request.what}: ${messageOf(error)}`, { cause: error });
    }
  }

  async #ready(): Promise<{ agent: Agent; headers: Record<string, string> }> {
    if (this.#credentials === undefined || performance.now() - this.#readAt > this.limits.credentialsMs) {
      const fresh = await readCredentials(this.#config);
      const changed = JSON.stringify(fresh.tls) !== JSON.stringify(this.#credentials?.tls);
      this.#credentials = fresh;
      this.#readAt = performance.now();
      if (changed) this.replaceConnections();
    }
    this.#agent ??= new Agent({
      allowH2: false,
      // writes in a burst wait for one of these instead of each opening its own; every watch holds one
      connections: 64,
      keepAliveTimeout: 60_000,
      keepAliveMaxTimeout: 60_000,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: {
        ...this.#credentials.tls,
        timeout: this.limits.connectMs,
        keepAlive: true,
        keepAliveInitialDelay: 30_000,
      },
    });
    return { agent: this.#agent, headers: this.#credentials.headers };
  }
}

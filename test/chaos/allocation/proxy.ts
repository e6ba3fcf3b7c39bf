import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dice } from './dice.ts';
import { watchedBy, writeOf } from './write.ts';

/** Probability of each fault of a request, from 0 to 1. */
export interface Weather {
  /** Probability of 409, 429 and 500, each. */
  refused: number;
  delayed: number;
  /** The connection is cut before the API server gets the request or, for most writes, after it has executed it. */
  cut: number;
}

export const calm: Weather = { refused: 0, delayed: 0, cut: 0 };

/** Waits for one write of the operator behind this proxy. */
export interface Ambush {
  matches: (write: string) => boolean;
  /**
   * `held`: the request waits while its sender sleeps; `sent`: it continues at once; `answered`: its answer has
   * arrived.
   */
  moment: 'held' | 'sent' | 'answered';
  /**
   * Puts the operator to sleep.
   * @returns resolves when it is awake again
   */
  spring: (write: string) => Promise<void>;
}

/** Requests that are held back. */
export interface Hold {
  /** Number of requests that were held. */
  readonly count: number;
  /** Releases them, and holds no more. */
  release(): void;
}

interface HeldRequests extends Hold {
  count: number;
  matches: (method: string, path: string) => boolean;
  side: 'request' | 'answer';
  /** Called with each request; resolves when it may continue. */
  keep(): Promise<void>;
}

interface Watch {
  resource: string;
  answer: IncomingMessage;
  response: ServerResponse;
}

/** A plain HTTP proxy between one operator and the API server, which injects the faults of networks and servers. */
export class FaultyProxy {
  readonly url: string;
  weather: Weather = calm;
  ambush: Ambush | undefined;
  /** Number of faults, by kind. */
  readonly faults = new Map<string, number>();
  /** Number of writes that the API server has executed, by kind. */
  readonly writes = new Map<string, number>();
  /** Time of the operator's last write other than a Lease's, by performance.now(). */
  wroteAt = 0;
  readonly #server: http.Server;
  readonly #target: string;
  readonly #dice: Dice;
  readonly #agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false });
  readonly #watches = new Set<Watch>();
  readonly #holds = new Set<HeldRequests>();

  private constructor(server: http.Server, target: string, dice: Dice) {
    this.#server = server;
    this.#target = target;
    this.#dice = dice;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  /** @param target such as `https://127.0.0.1:6443` */
  static async to(target: string, dice: Dice): Promise<FaultyProxy> {
    const server = http.createServer({ keepAlive: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultyProxy(server, target, dice);
  }

  /** The resources that are being watched. */
  get watched(): string[] {
    return [...this.#watches].map(({ resource }) => resource);
  }

  /**
   * Holds each matching request, or its answer, until it is released. The sender continues meanwhile.
   * @param matches gets the path without the query
   */
  hold(side: 'request' | 'answer', matches: (method: string, path: string) => boolean): Hold {
    const released = Promise.withResolvers<undefined>();
    const hold: HeldRequests = {
      matches,
      side,
      count: 0,
      keep: () => {
        hold.count++;
        return released.promise;
      },
      release: () => {
        this.#holds.delete(hold);
        released.resolve(undefined);
      },
    };
    this.#holds.add(hold);
    return hold;
  }

  /** Stalls the open watches of these resources for a while, then sends what arrived meanwhile or cuts them. */
  async halfOpen(
    isMeant: (resource: string) => boolean,
    over: Promise<unknown>,
    end: 'cut' | 'resume',
  ): Promise<void> {
    const watches = [...this.#watches].filter(({ resource }) => isMeant(resource));
    for (const { answer, response } of watches) {
      this.#count('watch half-open');
      answer.unpipe(response);
      answer.pause();
    }
    await over;
    for (const { answer, response } of watches) {
      if (end === 'cut') response.destroy();
      else answer.pipe(response);
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
    this.#agent.destroy();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined);
    const { method = '', url = '' } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const write = writeOf(method, url, body.toString());
    const resource = watchedBy(url);
    const fault = this.#fault({ isWatch: resource !== undefined, isWrite: write !== undefined });
    if (typeof fault === 'number') {
      this.#count(`answered ${fault}`);
      refuse(response, fault);
      return;
    }
    if (fault === 'cut before') {
      this.#count('cut before it was sent on');
      response.destroy();
      return;
    }
    if (fault === 'delayed') {
      this.#count('delayed');
      await sleep(this.#dice.whole(20, 400));
    }
    const caught = write === undefined ? undefined : this.#caught(write);
    if (caught?.moment === 'sent') void caught.spring(write ?? '');
    if (caught?.moment === 'held') await caught.spring(write ?? '');
    await this.#held('request', method, url);
    const answer = await this.#forward(request, body, response);
    await this.#held('answer', method, url);
    if (resource !== undefined) {
      this.#watch(resource, answer, response);
      return;
    }
    if (write !== undefined && (answer.statusCode ?? 500) < 300) {
      if (!write.endsWith(' leases')) this.wroteAt = performance.now();
      this.writes.set(write, (this.writes.get(write) ?? 0) + 1);
      if (fault === 'cut after') {
        this.#count('cut after the commit');
        answer.resume();
        response.destroy();
        return;
      }
    }
    if (caught?.moment === 'answered') void caught.spring(write ?? '');
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  }

  async #held(side: 'request' | 'answer', method: string, url: string): Promise<void> {
    const path = url.replace(/\?.*/, '');
    const hold = [...this.#holds].find((one) => one.side === side && one.matches(method, path));
    await hold?.keep();
  }

  #caught(write: string): Ambush | undefined {
    const { ambush } = this;
    if (ambush?.matches(write) !== true) return undefined;
    this.ambush = undefined;
    return ambush;
  }

  #fault({
    isWatch,
    isWrite,
  }: {
    isWatch: boolean;
    isWrite: boolean;
  }): 409 | 429 | 500 | 'cut before' | 'cut after' | 'delayed' | undefined {
    const { refused, delayed, cut } = this.weather;
    const dice = this.#dice;
    if (dice.chance(refused * 3)) return isWatch ? 500 : dice.pick([409, 429, 500] as const);
    if (dice.chance(cut)) return isWrite && dice.chance(0.7) ? 'cut after' : 'cut before';
    return dice.chance(delayed) ? 'delayed' : undefined;
  }

  /** Resolves with the head of the answer. */
  #forward(request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<IncomingMessage> {
    const { method = '', url = '', headers } = request;
    return new Promise((resolve, reject) => {
      const forward = https.request(this.#target + url, { method, headers, agent: this.#agent }, resolve);
      forward.on('error', reject);
      // a watch ends with its client; a write in progress is completed
      if (watchedBy(url) !== undefined) response.on('close', () => forward.destroy());
      forward.end(body);
    });
  }

  #watch(resource: string, answer: IncomingMessage, response: ServerResponse): void {
    const watch = { resource, answer, response };
    this.#watches.add(watch);
    response.on('close', () => {
      this.#watches.delete(watch);
      answer.destroy();
    });
    answer.on('error', () => response.destroy());
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    // a watch is open before its first event
    response.flushHeaders();
    answer.pipe(response);
  }

  #count(fault: string): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
  }
}

const reasons = { 409: 'Conflict', 429: 'TooManyRequests', 500: 'InternalError' };

function refuse(response: ServerResponse, code: 409 | 429 | 500): void {
  const reason = reasons[code];
  const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'chaos', reason, code };
  const head = { 'content-type': 'application/json', ...(code === 429 ? { 'retry-after': '1' } : {}) };
  response.writeHead(code, head).end(JSON.stringify(status));
}

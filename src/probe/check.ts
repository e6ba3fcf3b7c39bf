import { createSocket, type Socket } from 'node:dgram';
import { randomBytes } from 'node:crypto';
import type { Family } from '../net/address.ts';
import type { PathResult } from '../verdict/judge.ts';
import type { Code, Path } from '../verdict/paths.ts';
import { readAnswer, renderRequest, type Request, type View } from '../verdict/wire.ts';

/** Time limits in ms. */
export interface CheckTimes {
  /** An answer that comes later counts as lost. */
  answer: number;
  /** How long the peer's report on its own kernel is waited for, after the last packet. */
  view: number;
}

export const usualTimes: CheckTimes = { answer: 1_000, view: 6_000 };
/** In ms: late answers are still accepted for so long after the last packet, if packets are missing. */
const graceMs = 300;
/** Packets per path: the loss of one or two proves nothing. */
const tries = 3;
/** Round-trip times that are needed before a path counts as slow. */
const timed = 3;

interface Checked {
  results: PathResult[];
  /** The peer's first and last report. */
  first: View | undefined;
  last: View | undefined;
  /** Whether `last` was sent after the last lost packet; true if no packet was lost. */
  isFresh: boolean;
  /** When the first packet of the last path was sent, in ms since the epoch. */
  lastPathAt: number;
}

/**
 * What became of one packet. `refused`: no process listens there. `tooBig`: the kernel refused its size. `unable`: this node
 * has no socket for the path.
 */
type PacketResult = { rtt: number; view: View } | 'lost' | 'refused' | 'tooBig' | 'unable';

/**
 * Sends up to three packets on each path, one after the other, until one is answered. Small packets on the underlay go
 * first: their answers carry the peer's counters from before the other packets.
 * @param pace waits until the next packet may be sent; absent: the other paths are tried in parallel
 * @param slowMs after a slower answer more packets are sent, because a busy process may have delayed one
 */
export async function checkPeer(
  paths: readonly Path[],
  options: { port: number; slowMs: number; pace?: () => Promise<void>; times?: CheckTimes },
): Promise<Checked> {
  const check = new Check(paths, options.port, options.times ?? usualTimes);
  try {
    await check.open();
    const { slowMs, pace = () => Promise.resolve() } = options;
    const results: PathResult[] = [];
    const isFirst = ({ layer, size }: Path) => layer === 'underlay' && size === 'small';
    let lastPathAt = Date.now();
    const one = async (path: Path) => {
      lastPathAt = Date.now();
      results.push(await check.path(path, slowMs, pace));
    };
    for (const part of [paths.filter(isFirst), paths.filter((path) => !isFirst(path))]) {
      if (options.pace === undefined) await Promise.all(part.map(one));
      else for (const path of part) if (!check.isHopeless(path, results)) await one(path);
    }
    const isFresh = await check.ask(results, pace);
    const arrived = new Set(check.last?.arrived);
    const without6 = check.last?.without6 === true;
    return {
      results: results
        .filter(({ family }) => !(without6 && family === 6))
        .map((one) => ({ ...one, ...check.withLate(one) }))
        .map((one) => ({
          ...one,
          arrived: one.answered > 0 || arrived.has(one.code),
          crossed: check.crossed.has(one.family) && one.layer === 'overlay',
        })),
      first: check.first,
      last: check.last,
      isFresh,
      lastPathAt,
    };
  } finally {
    check.close();
  }
}

class Check {
  readonly #id = randomBytes(8).toString('hex');
  readonly #paths: readonly Path[];
  readonly #port: number;
  readonly #times: CheckTimes;
  /** By path; absent if this node has no address for it. */
  readonly #sockets = new Map<Code, Socket>();
  readonly #waiting = new Map<string, { code: Code; settle: (outcome: PacketResult) => void }>();
  /** Send times of requests whose answers are overdue, by path and attempt. */
  readonly #overdue = new Map<string, number>();
  /** Round-trip times in ms of answers that came after the time limit, by path: those packets were slow, not lost. */
  readonly #late = new Map<Code, number[]>();
  /** Paths without a route: their packets cannot be sent, and count as lost. */
  readonly #wayless = new Set<Code>();
  #attempts = 0;
  /** Highest attempt that was answered, in time or late. */
  #newest = -1;
  first: View | undefined;
  last: View | undefined;
  /** Families in which the peer answered through the tunnel to a request that came by the underlay. */
  readonly crossed = new Set<Family>();

  constructor(paths: readonly Path[], port: number, checkTimes: CheckTimes) {
    this.#paths = paths;
    this.#port = port;
    this.#times = checkTimes;
  }

  async open(): Promise<void> {
    await Promise.all(this.#paths.map((path) => this.#open(path)));
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
  }

  /** Opens a connected socket: the kernel reports ICMP errors from routers and the peer only to connected sockets. */
  #open({ code, family, from, to }: Path): Promise<void> {
    return new Promise((resolve) => {
      const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
      let isOpen = false;
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (isOpen) this.#failed(code, error);
        else socket.close();
        resolve();
      });
      socket.on('message', (data) => {
        this.#take(data);
      });
      socket.bind({ address: from, port: 0, exclusive: true }, () => {
        socket.connect(this.#port, to, (error?: Error) => {
          isOpen = true;
          if (error === undefined) this.#sockets.set(code, socket);
          else {
            this.#wayless.add(code);
            socket.close();
          }
          resolve();
        });
      });
    });
  }

  async path(path: Path, slowMs: number, pace: () => Promise<void>): Promise<PathResult> {
    const { code, layer, family, size, bytes } = path;
    const result: PathResult = {
      code,
      layer,
      family,
      size,
      bytes,
      sent: 0,
      answered: 0,
      arrived: false,
      crossed: false,
      refused: false,
      tooBig: false,
      rtts: [],
    };
    if (this.#wayless.has(code)) return { ...result, sent: tries };
    if (!this.#sockets.has(code)) return result;
    const isTimed = layer === 'overlay' && size === 'small';
    for (let count = 0; count < tries + timed - 1; count++) {
      const isSlow =
        isTimed && result.rtts.length > 0 && result.rtts.length < timed && Math.min(...result.rtts) > slowMs;
      if (result.refused || (result.answered > 0 && !isSlow) || (result.answered === 0 && count >= tries))
        break;
      await pace();
      const outcome = await this.#send(path);
      if (outcome === 'unable') break;
      result.sent++;
      if (outcome === 'refused') result.refused = true;
      else if (outcome === 'tooBig') result.tooBig = true;
      else if (outcome !== 'lost') {
        result.answered++;
        result.rtts.push(outcome.rtt);
      }
    }
    return result;
  }

  /**
   * If packets are lost, asks the peer on a path that works which packets arrived, and what its kernel shows.
   * @returns true if the peer answered, or no packet was lost
   */
  async ask(results: readonly PathResult[], pace: () => Promise<void>): Promise<boolean> {
    const good = results.find((one) => one.size === 'small' && this.withLate(one).answered > 0);
    const path = this.#paths.find(({ code }) => code === good?.code);
    if (path === undefined) return false;
    const isLost = results.some(({ sent, answered, refused }) => sent > 0 && answered === 0 && !refused);
    const until = performance.now() + this.#times.view;
    const from = isLost ? this.#attempts : 0;
    while ((this.#newest < from || this.last?.faults === undefined) && performance.now() < until) {
      await pace();
      await this.#send(path);
      if (this.last?.faults === undefined) await new Promise((resolve) => setTimeout(resolve, 150));
    }
    for (const { layer, size, family, answered, sent } of results)
      if (layer === 'overlay' && size === 'small' && sent > 0 && answered === 0)
        await this.#cross(path, family, pace);
    if (isLost) await new Promise((resolve) => setTimeout(resolve, graceMs));
    return this.#newest >= from;
  }

  /** Whether small packets of the same layer and family are lost: a full-size packet then proves nothing more. */
  isHopeless({ layer, family, size }: Path, results: readonly PathResult[]): boolean {
    const small = results.find((one) => one.layer === layer && one.family === family && one.size === 'small');
    if (size === 'small' || small === undefined) return false;
    return small.sent > 0 && !small.refused && this.withLate(small).answered === 0;
  }

  /** The result with late answers counted as answers. */
  withLate({ code, answered, rtts }: PathResult): Pick<PathResult, 'answered' | 'rtts'> {
    const late = this.#late.get(code) ?? [];
    return { answered: answered + late.length, rtts: [...rtts, ...late] };
  }

  /** Tests the direction from the peer alone: asks by `path` for an answer through the tunnel. */
  async #cross(path: Path, family: Family, pace: () => Promise<void>): Promise<void> {
    const own = this.#sockets.get(`o${family}s`);
    for (let count = 0; own !== undefined && count < tries && !this.crossed.has(family); count++) {
      await pace();
      await this.#send(path, { family, port: own.address().port });
    }
  }

  #send(path: Path, cross?: Request['cross']): Promise<PacketResult> {
    const socket = this.#sockets.get(path.code);
    if (socket === undefined) return Promise.resolve('unable');
    const attempt = this.#attempts++;
    const request = { check: this.#id, path: path.code, attempt, ...(cross && { cross }) };
    const start = performance.now();
    return new Promise((resolve) => {
      const key = `${path.code} ${attempt}`;
      const settle = (outcome: PacketResult) => {
        clearTimeout(timer);
        this.#waiting.delete(key);
        resolve(typeof outcome === 'string' ? outcome : { ...outcome, rtt: performance.now() - start });
      };
      const timer = setTimeout(() => {
        this.#overdue.set(key, start);
        settle('lost');
      }, this.#times.answer);
      this.#waiting.set(key, { code: path.code, settle });
      socket.send(renderRequest(request, path), (error) => {
        if (error !== null) settle(resultOf(error));
      });
    });
  }

  #take(data: Buffer): void {
    const answer = readAnswer(data);
    if (answer?.check !== this.#id) return;
    this.first ??= answer.view;
    if (answer.attempt > this.#newest) {
      this.#newest = answer.attempt;
      this.last = answer.view;
    }
    if (answer.cross !== undefined) this.crossed.add(answer.cross.family);
    const key = `${answer.path} ${answer.attempt}`;
    this.#waiting.get(key)?.settle({ rtt: 0, view: answer.view });
    const sentAt = this.#overdue.get(key);
    if (sentAt === undefined || !this.#overdue.delete(key)) return;
    this.#late.set(answer.path, [...(this.#late.get(answer.path) ?? []), performance.now() - sentAt]);
  }

  /** Settles the packet that waits on this path. There is at most one, because packets of a path go one by one. */
  #failed(code: Code, error: NodeJS.ErrnoException): void {
    for (const one of this.#waiting.values()) if (one.code === code) one.settle(resultOf(error));
  }
}

function resultOf(error: NodeJS.ErrnoException): PacketResult {
  if (error.code === 'ECONNREFUSED') return 'refused';
  return error.code === 'EMSGSIZE' ? 'tooBig' : 'lost';
}

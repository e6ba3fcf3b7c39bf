import { createSocket } from 'node:dgram';
import { connect as connectTLS } from 'node:tls';
import type { Family } from '../net/address.ts';
import { slowOf, type PathResult } from '../verdict/judge.ts';
import type { Path } from '../verdict/paths.ts';
import { isSilent, type Signs } from '../verdict/silence.ts';

/** Source and destination of a UDP packet. */
interface Way {
  family: Family;
  from: string;
  to: string;
}

/** A UDP port that no process listens on (traceroute's first): the kernel refuses it by ICMP, however busy processes are. */
export const closedPort = 33_434;

/** Time limit for each step of a TLS connection; long, because a slow agent is not a dead one. */
export const connectMs = 3_000;
/** Packets to the closed port; the fastest refusal counts. */
const knocks = 3;

interface Options {
  outer: Family;
  slowMs: number;
  /** UDP and TCP port of agents. */
  port: number;
  pace?: () => Promise<void>;
  /** Time limits in ms. */
  times: { answer: number; connect: number };
}

/** Asks the peer's kernel and agent by other means, if its probes were not answered or answered late. */
export async function signsOf(
  paths: readonly Path[],
  results: readonly PathResult[],
  { outer, slowMs, port, pace = () => Promise.resolve(), times }: Options,
): Promise<Signs> {
  const small = paths.filter(({ size }) => size === 'small');
  const over = (family?: Family) => small.find((one) => one.layer === 'overlay' && one.family === family);
  const fastest = async (path: Path | undefined, count: number) => {
    const took: number[] = [];
    for (let at = 0; path !== undefined && at < count; at++) {
      await pace();
      took.push((await knock(path, times.answer)) ?? Infinity);
    }
    const best = Math.min(...took);
    return best === Infinity ? undefined : best;
  };
  if (!isSilent({ results })) {
    const overlay = await fastest(over(slowOf(results, slowMs)?.family), knocks);
    return { kernel: { underlay: undefined, overlay }, agent: undefined };
  }
  const under = small.find((one) => one.layer === 'underlay' && one.family === outer);
  const overlay = (await fastest(over(4), 1)) ?? (await fastest(over(6), 1));
  const underlay = await fastest(under, knocks - 1);
  await pace();
  const agent = under && (await agentAt(under, port, times.connect));
  return { kernel: { underlay, overlay }, agent };
}

/**
 * Sends one packet to a closed port.
 * @returns the time until the kernel's refusal, in ms; undefined if none came
 */
export function knock({ family, from, to }: Way, ms: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
    let sentAt = 0;
    let isClosed = false;
    const end = (took?: number) => {
      clearTimeout(timer);
      if (!isClosed) socket.close();
      isClosed = true;
      resolve(took);
    };
    const timer = setTimeout(end, ms);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      end(error.code === 'ECONNREFUSED' && sentAt > 0 ? performance.now() - sentAt : undefined);
    });
    socket.bind({ address: from, port: 0, exclusive: true }, () => {
      socket.connect(closedPort, to, (error?: Error) => {
        if (error !== undefined) {
          end();
          return;
        }
        sentAt = performance.now();
        socket.send('overlaynet', () => undefined);
      });
    });
  });
}

/**
 * Tells how an agent's TCP port answers. The kernel accepts connections even for a hanging process; only a running one
 * completes TLS.
 * @param ms time limit of each of the two steps
 */
export function agentAt({ from, to }: Way, port: number, ms: number): Promise<NonNullable<Signs['agent']>> {
  return new Promise((resolve) => {
    let isTaken = false;
    const socket = connectTLS({
      ...{ host: to, port, ...(from === '' ? {} : { localAddress: from }) },
      // this only asks whether a process answers: no data is sent, so its identity does not matter
      rejectUnauthorized: false,
    });
    const end = (is: NonNullable<Signs['agent']>) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(is);
    };
    const late = () => {
      end(isTaken ? 'Hangs' : 'Silent');
    };
    let timer = setTimeout(late, ms);
    socket.once('connect', () => {
      isTaken = true;
      clearTimeout(timer);
      timer = setTimeout(late, ms);
    });
    socket.once('secureConnect', () => {
      end('Answers');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // closing the connection is an answer, too
      end(isTaken ? 'Answers' : error.code === 'ECONNREFUSED' ? 'Refuses' : 'Silent');
    });
    socket.once('close', () => {
      end(isTaken ? 'Answers' : 'Silent');
    });
  });
}

import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import PQueue from 'p-queue';
import { tunnelAddress } from '../api/state.ts';
import type { AgentAllocation, OverlayConfig } from '../api/types.ts';
import { messageOf } from '../error.ts';
import { readNodeKernel } from '../rows/kernel.ts';
import { readNodeContainers } from '../rows/nodecontainers.ts';
import { agentRoutePath, readNodeRoute, type Hop } from '../rows/trace.ts';
import {
  agentContainersPath,
  agentKernelPath,
  type ContainerRow,
  type KernelRow,
  type Unanswered,
} from '../rows/row.ts';

/** In ms. */
export interface PeerTimes {
  /** Nobody waits longer for what the agents say. */
  all: number;
  /** One agent of all gets so long, so that those that hang do not keep the places of the others. */
  each: number;
  /** How long an answer serves: page after page comes of the same ones. */
  kept: number;
}

const times: PeerTimes = { all: 5_000, each: 2_500, kept: 3_000 };
const atOnce = 32;
const largestAnswer = 2 * 1024 * 1024;

interface Target {
  node: string;
  address: string;
}

interface Said<T> {
  rows: T[];
  problem?: string;
}

/** A path of agents, and how its answer is understood. */
interface Question<T> {
  path: string;
  read: (body: string, node: string) => { rows: T[]; problems: string[] };
  said: Map<string, { at: number; address: string; failed: boolean; answer: Promise<Said<T>> }>;
}

const question = <T>(path: string, read: Question<T>['read']): Question<T> => ({
  path,
  read,
  said: new Map(),
});

interface PeersOptions {
  allocations: () => readonly AgentAllocation[];
  config: () => OverlayConfig | undefined;
  /** Where agents listen. */
  port: number;
  /** Of a token for the audience of agents; absent: none is shown. */
  tokenFile?: string | undefined;
  times?: PeerTimes;
}

/** The agents of all nodes, as an operator asks them for what they alone know. */
export class Peers {
  readonly #options: PeersOptions;
  readonly #times: PeerTimes;
  readonly #queue = new PQueue({ concurrency: atOnce });
  readonly #containers = question(agentContainersPath, readNodeContainers);
  readonly #kernel = question(agentKernelPath, readNodeKernel);
  /** Nodes whose agents did not answer the last time: they are asked last. */
  readonly #silent = new Set<string>();

  constructor(options: PeersOptions) {
    this.#options = options;
    this.#times = options.times ?? times;
  }

  /** Every container that the agents know of, of one node or of all, and which nodes are missing in that. */
  containers(node?: string): Promise<{ rows: ContainerRow[]; unanswered: Unanswered[] }> {
    return this.#all(this.#containers, node);
  }

  /** How nodes differ from what is desired, of one node or of all, and which nodes are missing in that. */
  kernel(node?: string): Promise<{ rows: KernelRow[]; unanswered: Unanswered[] }> {
    return this.#all(this.#kernel, node);
  }

  /** How a packet goes through a node. @returns undefined where no agent of such a node is known */
  async trace(node: string, query: string): Promise<{ hops: Hop[] } | { problem: string } | undefined> {
    const target = this.#targets().find((one) => one.node === node);
    if (target === undefined) return undefined;
    try {
      const body = await this.#queue.add(() =>
        this.#get(`${agentRoutePath}?${query}`, target, AbortSignal.timeout(this.#times.all)),
      );
      return { hops: readNodeRoute(body) };
    } catch (error) {
      return { problem: `${target.address}: ${whyNot(error, this.#times.all)}` };
    }
  }

  async #all<T>(asked: Question<T>, node?: string): Promise<{ rows: T[]; unanswered: Unanswered[] }> {
    const targets = this.#targets().filter((target) => node === undefined || target.node === node);
    for (const known of [...asked.said.keys(), ...this.#silent])
      if (node === undefined && !targets.some((target) => target.node === known)) this.#forget(known);
    const until = Date.now() + this.#times.all;
    const first = targets.filter((target) => !this.#silent.has(target.node));
    const last = targets.filter((target) => this.#silent.has(target.node));
    const all = await Promise.all(
      [...first, ...last].map(async (target) => ({
        target,
        said: await this.#ask(asked, target, until, node !== undefined),
      })),
    );
    return {
      rows: all.flatMap(({ said }) => said.rows),
      unanswered: all
        .flatMap(({ target, said }) =>
          said.problem === undefined ? [] : [{ node: target.node, reason: said.problem }],
        )
        .sort((a, b) => (a.node < b.node ? -1 : 1)),
    };
  }

  #forget(node: string): void {
    this.#containers.said.delete(node);
    this.#kernel.said.delete(node);
    this.#silent.delete(node);
  }

  /** Agents whose registration the operator took: their addresses were checked against their Nodes. */
  #targets(): Target[] {
    const config = this.#options.config();
    const { underlay = 'IPv4' } = config?.status?.effective ?? config?.spec ?? {};
    return this.#options.allocations().flatMap(({ metadata, spec }) => {
      const address = tunnelAddress(spec.addresses, { underlay });
      return address === '' ? [] : [{ node: metadata.name, address }];
    });
  }

  /** @param alone one node that is asked for by itself has all the time, and is asked again where it did not answer */
  #ask<T>(asked: Question<T>, target: Target, until: number, alone: boolean): Promise<Said<T>> {
    const known = asked.said.get(target.node);
    const isFresh = known?.address === target.address && known.at + this.#times.kept > Date.now();
    if (isFresh && !(alone && known.failed)) return known.answer;
    const most = alone ? this.#times.all : this.#times.each;
    const answer = this.#queue.add(() => this.#answerOf(asked, target, until, most));
    const said = { at: Date.now(), address: target.address, failed: false, answer };
    void answer.then(({ problem }) => (said.failed = problem !== undefined));
    asked.said.set(target.node, said);
    return answer;
  }

  async #answerOf<T>(asked: Question<T>, target: Target, until: number, most: number): Promise<Said<T>> {
    const failed = (why: string): Said<T> => ({ rows: [], problem: `${target.address}: ${why}` });
    const left = Math.min(most, until - Date.now());
    // it may well answer, so that it is not asked last the next time
    if (left <= 0) return failed(`it was not its turn within ${this.#times.all} ms: too many do not answer`);
    try {
      const body = await this.#get(asked.path, target, AbortSignal.timeout(left));
      const { rows, problems } = asked.read(body, target.node);
      this.#silent.delete(target.node);
      return { rows, ...(problems.length === 0 ? {} : { problem: problems.join('; ') }) };
    } catch (error) {
      this.#silent.add(target.node);
      return failed(whyNot(error, left));
    }
  }

  async #get(path: string, { address }: Target, signal: AbortSignal): Promise<string> {
    const { port, tokenFile } = this.#options;
    const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim();
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const call = request(
        {
          host: address,
          port,
          path,
          signal,
          agent: false,
          // Agents sign their certificates themselves. What such a one could take is a token for agents alone.
          rejectUnauthorized: false,
          headers: {
            accept: 'application/json',
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          },
        },
        resolve,
      );
      call.on('error', (error) => {
        reject(signal.aborted ? (signal.reason as Error) : error);
      });
      // an answer that changes the protocol gives neither a response nor an error
      call.on('close', () => {
        reject(signal.aborted ? (signal.reason as Error) : new Error('it closed the connection'));
      });
      call.end();
    });
    const body = await bounded(response, signal);
    if (response.statusCode === 200) return body;
    throw new Error(`${response.statusCode ?? 0}: ${body.trim().slice(0, 200)}`);
  }
}

/** @param ms how long the agent had */
const whyNot = (error: unknown, ms: number): string =>
  error instanceof Error && error.name === 'TimeoutError' ? `no answer within ${ms} ms` : messageOf(error);

/** The body as text. @throws Error where it is too long, or is cut off */
function bounded(response: IncomingMessage, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= largestAnswer) return;
      response.destroy();
      reject(new Error(`its answer has more than ${largestAnswer} bytes`));
    });
    response.on('end', () => {
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
    for (const event of ['close', 'error']) {
      response.on(event, () => {
        reject(signal.aborted ? (signal.reason as Error) : new Error('its answer was cut off'));
      });
    }
  });
}

import PQueue from 'p-queue';
import { tunnelAddress } from '../api/state.ts';
import type { AgentAllocation, OverlayAgent, OverlayConfig } from '../api/types.ts';
import { messageOf } from '../error.ts';
import { readNodeKernel } from '../rows/kernel.ts';
import { readNodeContainers } from '../rows/nodecontainers.ts';
import { readNodePeers } from '../rows/peers.ts';
import { agentPeersPath, agentProbePath, type PeerRow } from '../rows/probe.ts';
import { agentPacketPath, readSightings, type NodeSightings, type PacketOrder } from '../rows/send.ts';
import { agentRoutePath, readNodeRoute, type Hop } from '../rows/trace.ts';
import {
  agentContainersPath,
  agentKernelPath,
  type ContainerRow,
  type KernelRow,
  type LastPass,
  type Unanswered,
} from '../rows/row.ts';
import { askAgent } from './askagent.ts';

/** In ms. */
export interface PeerTimes {
  /** The longest wait of a request for the answers of all agents. */
  all: number;
  /** The longest wait for one of many agents: an agent that hangs must not keep the place of another. */
  each: number;
  /** How long an answer serves, from the end of the round in which its agent was asked. */
  kept: number;
  /** How long it serves the pages after the first, so that all pages come from one reading. */
  keptForPages: number;
}

/** Time of a probe whose peers do not answer. */
const probeMs = 14_000;

const times: PeerTimes = { all: 5_000, each: 2_500, kept: 3_000, keptForPages: 60_000 };
const atOnce = 32;

interface Target {
  node: string;
  address: string;
  /** SHA-256 of its certificate, as its OverlayAgent says; undefined: it says none. */
  certificate?: string | undefined;
}

interface AgentRows<T> {
  rows: T[];
  /** Why rows are missing. */
  problem?: string;
  /** Why rows are missing although the agent may answer. */
  answer?: Unanswered['answer'];
  pass?: LastPass | undefined;
}

/** The answers of all agents, or of one. */
interface All<T> {
  rows: T[];
  unanswered: Unanswered[];
  /** The last pass of the agent, if only one was asked, and reported it. */
  pass?: LastPass | undefined;
}

/** The last answer of an agent. */
interface CachedAnswer<T> {
  address: string;
  /** When the round ended in which it was asked, as Date.now(); Infinity before. */
  at: number;
  failed: boolean;
  answer: Promise<AgentRows<T>>;
}

/** A path of agents, and the parser of its answer. */
interface Question<T> {
  path: string;
  read: (body: string, node: string) => { rows: T[]; problems: string[]; pass?: LastPass };
  answers: Map<string, CachedAnswer<T>>;
}

/** The agents whose answers a request needs. */
interface RowsFilter {
  /** Only this node's; undefined: all. */
  node?: string | undefined;
  /** The request is for a page after the first. */
  following?: boolean;
}

const question = <T>(path: string, read: Question<T>['read']): Question<T> => ({
  path,
  read,
  answers: new Map(),
});

interface PeersOptions {
  allocations: () => readonly AgentAllocation[];
  /** The OverlayAgent of a node. */
  agent: (node: string) => OverlayAgent | undefined;
  config: () => OverlayConfig | undefined;
  /** Where agents listen. */
  port: number;
  /** File with a token for the audience of agents; absent: no token is sent. */
  tokenFile?: string | undefined;
  times?: PeerTimes;
}

/** The agents of all nodes, which an operator asks for what only they know. */
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
  containers(wanted: RowsFilter = {}): Promise<All<ContainerRow>> {
    return this.#all(this.#containers, wanted);
  }

  /** How nodes differ from what is desired, of one node or of all, and which nodes are missing in that. */
  kernel(wanted: RowsFilter = {}): Promise<All<KernelRow>> {
    return this.#all(this.#kernel, wanted);
  }

  /** How a node reaches each other one. Nothing is kept: of all nodes it would be a million rows. */
  async reached(node: string): Promise<{ rows: PeerRow[]; unanswered: Unanswered[] }> {
    const answer = await this.#one(node, agentPeersPath, undefined, (body) => readNodePeers(body, node));
    if (answer === undefined) return { rows: [], unanswered: [] };
    if ('problem' in answer) return { rows: [], unanswered: [{ node, reason: answer.problem }] };
    const { rows, problems } = answer;
    const partial = { node, reason: problems.join('; '), answer: 'Partial' as const };
    return { rows, unanswered: problems.length === 0 ? [] : [partial] };
  }

  /** Has a node's agent probe peers now. @returns undefined where no agent of such a node is known */
  async probe(
    node: string,
    peers: readonly string[],
  ): Promise<{ rows: PeerRow[]; problems: string[] } | { problem: string } | undefined> {
    const read = (body: string) => readNodePeers(body, node);
    return this.#one(node, agentProbePath, JSON.stringify({ peers }), read, probeMs);
  }

  /** How a packet goes through a node. @returns undefined where no agent of such a node is known */
  async trace(node: string, query: string): Promise<{ hops: Hop[] } | { problem: string } | undefined> {
    return this.#one(node, `${agentRoutePath}?${query}`, undefined, (body) => ({
      hops: readNodeRoute(body),
    }));
  }

  /** Has a node send a packet, or watch for one. @returns undefined where no agent of such a node is known */
  async packet(node: string, order: PacketOrder): Promise<NodeSightings | { problem: string } | undefined> {
    return this.#one(node, agentPacketPath, JSON.stringify(order), readSightings);
  }

  /**
   * Asks one agent.
   * @param post the body of a POST; undefined of a GET
   * @param ms how long it may take, its turn included
   */
  async #one<T>(
    node: string,
    path: string,
    post: string | undefined,
    read: (body: string) => T,
    ms = this.#times.all,
  ): Promise<T | { problem: string } | undefined> {
    const target = this.#targets().find((one) => one.node === node);
    if (target === undefined) return undefined;
    const until = Date.now() + ms;
    return this.#queue.add(async () => {
      // waiting for its turn is a part of the time that it has
      const remainingMs = until - Date.now();
      if (remainingMs <= 0) return { problem: `${target.address}: ${this.#noTurn(ms)}` };
      try {
        return read(await this.#fetch(path, target, AbortSignal.timeout(remainingMs), post));
      } catch (error) {
        return { problem: `${target.address}: ${whyNot(error, remainingMs)}` };
      }
    });
  }

  #noTurn(ms = this.#times.all): string {
    return `it was not its turn within ${ms} ms: too many do not answer`;
  }

  async #all<T>(asked: Question<T>, wanted: RowsFilter): Promise<All<T>> {
    const { node } = wanted;
    const targets = this.#targets().filter((target) => node === undefined || target.node === node);
    if (node === undefined) this.#forgetAllBut(targets);
    const until = Date.now() + this.#times.all;
    const first = targets.filter((target) => !this.#silent.has(target.node));
    const last = targets.filter((target) => this.#silent.has(target.node));
    const round = [...first, ...last].map((target) => ({
      target,
      known: this.#ask(asked, target, until, wanted),
    }));
    const all = await Promise.all(
      round.map(async ({ target, known }) => ({ target, answer: await known.answer })),
    );
    const now = Date.now();
    for (const { known } of round) known.at = Math.min(known.at, now);
    return {
      rows: all.flatMap(({ answer }) => answer.rows),
      unanswered: all
        .flatMap(({ target, answer }) => unansweredBy(target, answer))
        .sort((a, b) => (a.node < b.node ? -1 : 1)),
      pass: node === undefined ? undefined : all[0]?.answer.pass,
    };
  }

  #forgetAllBut(targets: readonly Target[]): void {
    const nodes = new Set(targets.map(({ node }) => node));
    for (const kept of [this.#containers.answers, this.#kernel.answers, this.#silent])
      for (const known of kept.keys()) if (!nodes.has(known)) kept.delete(known);
  }

  /** Agents whose registration the operator took: their addresses were checked against their Nodes. */
  #targets(): Target[] {
    const config = this.#options.config();
    const { underlay = 'IPv4' } = config?.status?.effective ?? config?.spec ?? {};
    return this.#options.allocations().flatMap(({ metadata, spec }) => {
      const address = tunnelAddress(spec.addresses, { underlay });
      const { certificate } = this.#options.agent(metadata.name)?.status ?? {};
      return address === '' ? [] : [{ node: metadata.name, address, certificate }];
    });
  }

  /** A request for one node has the whole time, and asks again if the node did not answer. */
  #ask<T>(
    asked: Question<T>,
    target: Target,
    until: number,
    { node, following }: RowsFilter,
  ): CachedAnswer<T> {
    const alone = node !== undefined;
    const known = asked.answers.get(target.node);
    const kept = following === true ? this.#times.keptForPages : this.#times.kept;
    const isFresh = known?.address === target.address && known.at + kept > Date.now();
    if (isFresh && !(alone && known.failed)) return known;
    const most = alone ? this.#times.all : this.#times.each;
    const answer = this.#queue.add(() => this.#answerOf(asked, target, until, most));
    const asking: CachedAnswer<T> = { at: Infinity, address: target.address, failed: false, answer };
    void answer.then(({ problem }) => (asking.failed = problem !== undefined));
    asked.answers.set(target.node, asking);
    return asking;
  }

  async #answerOf<T>(asked: Question<T>, target: Target, until: number, most: number): Promise<AgentRows<T>> {
    const failed = (why: string): AgentRows<T> => ({ rows: [], problem: `${target.address}: ${why}` });
    const remainingMs = Math.min(most, until - Date.now());
    // it may answer, so the next round does not ask it last
    if (remainingMs <= 0) return { ...failed(this.#noTurn()), answer: 'NotAsked' };
    try {
      const body = await this.#fetch(asked.path, target, AbortSignal.timeout(remainingMs));
      const { rows, problems, pass } = asked.read(body, target.node);
      this.#silent.delete(target.node);
      const gaps: Pick<AgentRows<T>, 'problem' | 'answer'> = problems.length === 0
        ? {}
        : { problem: problems.join('; '), answer: 'Partial' };
      return { rows, ...gaps, pass };
    } catch (error) {
      this.#silent.add(target.node);
      return failed(whyNot(error, remainingMs));
    }
  }

  #fetch(path: string, target: Target, signal: AbortSignal, post?: string): Promise<string> {
    const { port, tokenFile } = this.#options;
    return askAgent({ ...target, port, path, tokenFile, post }, signal);
  }
}

const unansweredBy = ({ node }: Target, { problem, answer }: AgentRows<unknown>): Unanswered[] =>
  problem === undefined ? [] : [{ node, reason: problem, ...(answer === undefined ? {} : { answer }) }];

/** @param ms how long the agent had */
const whyNot = (error: unknown, ms: number): string =>
  error instanceof Error && error.name === 'TimeoutError' ? `no answer within ${ms} ms` : messageOf(error);

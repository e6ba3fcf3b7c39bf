import { setTimeout } from 'node:timers/promises';
import PQueue from 'p-queue';
import type { Finding } from '../api/conditions.ts';
import { parseDuration } from '../api/duration.ts';
import type { ProbesConfig } from '../api/types.ts';
import { messageOf } from '../error.ts';
import type { NodePeers, PeerRow, Verdict } from '../rows/probe.ts';
import { Rotation } from '../verdict/rotation.ts';
import { findingOf } from '../verdict/finding.ts';
import type { CheckResult, Prober } from './prober.ts';

/** `spec.probes` of OverlayConfig, with defaults filled in. */
export interface Settings {
  /** Number of peers in a round. */
  peers: number;
  slowMs: number;
}

interface Options {
  node: string;
  version: string;
  prober: Pick<Prober, 'check' | 'peers' | 'responder'>;
  /** Undefined: the agent probes no peer by itself. */
  settings: () => Settings | undefined;
  /** Called after each round with the verdicts of all peers that have one. */
  onVerdicts: (verdicts: readonly Verdict[]) => void;
  /** Called when the finding has changed. */
  onFinding: () => void;
  times?: Partial<Times>;
}

/** Periods in ms. */
interface Times {
  /** From the beginning of one round to the beginning of the next. The finding changes only at the end of a round. */
  round: number;
  /** Between two packets of a round. */
  packet: number;
  /** Between two reads of addresses and settings. */
  tick: number;
}

const usual: Times = { round: 60_000, packet: 1_000, tick: 5_000 };
const usualSlowMs = 250;
/** Requested checks that run at once. More would slow each other down. */
const atOnce = 8;
/** Requested checks that may wait for their turn; further requests are refused. */
const mostWaiting = 64;

type Known = Omit<PeerRow, 'node' | 'peer'>;

/**
 * Probes some peers each minute, one packet after the other, and remembers the results. A verdict counts only if a second
 * check, right after the first, also ends in a verdict.
 */
export class Rounds {
  readonly #options: Options;
  readonly #times: Times;
  readonly #known = new Map<string, Known>();
  readonly #rotation: Rotation;
  readonly #asked = new PQueue({ concurrency: atOnce });
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #finding: Finding | undefined;
  #problem: string | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#times = { ...usual, ...options.times };
    this.#rotation = new Rotation(options.node);
  }

  /** The condition `DataPathProbed`; undefined while no peer has been probed. */
  get finding(): Finding | undefined {
    return this.#finding;
  }

  start(): void {
    const { prober } = this.#options;
    const tick = () => {
      void prober.responder.refresh().catch((error: unknown) => {
        this.#problem = messageOf(error);
      });
    };
    tick();
    this.#timer = setInterval(tick, this.#times.tick);
    void this.#rounds();
  }

  stop(): void {
    this.#stop.abort();
    clearInterval(this.#timer);
    this.#options.prober.responder.stop();
  }

  /** Lists all peers, or those named, with their last results. */
  list(only?: readonly string[]): NodePeers {
    const { node, version, prober } = this.#options;
    const peers = prober.peers.filter((peer) => only === undefined || only.includes(peer)).toSorted();
    return {
      node,
      version,
      peers: peers.map((peer) => ({ peer, ...(this.#known.get(peer) ?? unprobed) })),
      problems: [
        ...[...prober.responder.problems].map(
          ([address, why]) => `no probe to ${address} is answered: ${why}`,
        ),
        ...(this.#problem === undefined ? [] : [this.#problem]),
      ],
    };
  }

  /**
   * Probes these peers once, on request. The results change neither the condition nor the verdict metrics.
   * @returns the results, or why the request is refused
   */
  async probe(peers: readonly string[]): Promise<NodePeers | string> {
    const { prober, settings } = this.#options;
    if (this.#asked.size >= mostWaiting)
      return `${this.#asked.size} probes wait for their turn already; at most ${mostWaiting} may`;
    const known = prober.peers;
    const chosen = [...new Set(peers)].filter((peer) => known.includes(peer)).toSorted();
    const slowMs = settings()?.slowMs ?? usualSlowMs;
    const rows = chosen.map((peer) =>
      this.#asked.add(async () => ({
        peer,
        ...knownOf(await prober.check(peer, slowMs), this.#known.get(peer)),
      })),
    );
    return { ...this.list([]), peers: await Promise.all(rows) };
  }

  async #rounds(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const end = Date.now() + this.#times.round;
      try {
        await this.#round();
        this.#problem = undefined;
      } catch (error) {
        this.#problem = messageOf(error);
      }
      this.#conclude();
      // probes that are switched on begin at the next tick
      const off = this.#options.settings() === undefined;
      await this.#sleep(off ? this.#times.tick : Math.max(0, end - Date.now()));
    }
  }

  async #round(): Promise<void> {
    const { prober, settings } = this.#options;
    const wanted = settings();
    // without probes, old results would never be corrected
    if (wanted === undefined) this.#known.clear();
    if (wanted === undefined) return;
    const peers = prober.peers;
    const present = new Set(peers);
    for (const peer of this.#known.keys()) if (!present.has(peer)) this.#known.delete(peer);
    const turn = this.#rotation.next(peers, wanted.peers);
    // peers with a verdict are probed again in every round, as many as there are peers in a round
    const wrong = [...this.#known]
      .filter(([peer, { is }]) => is === 'Wrong' && !turn.includes(peer))
      .sort(([, a], [, b]) => (a.at < b.at ? -1 : 1))
      .slice(0, wanted.peers)
      .map(([peer]) => peer);
    for (const peer of [...wrong, ...turn]) {
      const pace = () => this.#sleep(this.#times.packet);
      let outcome = await prober.check(peer, wanted.slowMs, pace);
      if (outcome.judgement !== undefined && !this.#stop.signal.aborted)
        outcome = await prober.check(peer, wanted.slowMs, pace);
      if (this.#stop.signal.aborted) return;
      this.#known.set(peer, knownOf(outcome, this.#known.get(peer)));
    }
  }

  #conclude(): void {
    this.#options.onVerdicts([...this.#known.values()].flatMap(({ verdict }) => verdict ?? []));
    const finding = findingOf([...this.#known].map(([peer, known]) => ({ peer, ...known })));
    if (finding?.reason === this.#finding?.reason && finding?.message === this.#finding?.message) return;
    this.#finding = finding;
    this.#options.onFinding();
  }

  /** Sleeps; ends early if the agent stops. */
  async #sleep(ms: number): Promise<void> {
    // racing against one long-lived promise would leak memory with each sleep
    await setTimeout(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}

/** Returns the settings with defaults: an object from before the CRD had them may lack a field. */
export const settingsOf = (probes: Partial<ProbesConfig> | undefined): Settings | undefined =>
  probes && { peers: probes.peers ?? 5, slowMs: parseDuration(probes.slowAfter ?? '') ?? usualSlowMs };

const unprobed: Known = { is: 'Unprobed', evidence: '', remedy: '', at: '', since: '' };

/** @param before the peer's result before this check */
function knownOf(
  { judgement, unknown, underlayMs, overlayMs }: CheckResult,
  before: Known | undefined,
): Known {
  const at = new Date().toISOString();
  const is = judgement !== undefined ? 'Wrong' : unknown !== undefined ? 'Unknown' : 'OK';
  const stays = before?.is === is && before.verdict === judgement?.verdict;
  return {
    is,
    ...(judgement && { verdict: judgement.verdict }),
    // numbers in the evidence change with each check; the condition must not be rewritten for that
    evidence: stays ? before.evidence : (judgement?.evidence ?? unknown ?? ''),
    remedy: stays ? before.remedy : (judgement?.remedy ?? ''),
    at,
    since: stays ? before.since : at,
    ...(underlayMs === undefined ? {} : { underlayMs: rounded(underlayMs) }),
    ...(overlayMs === undefined ? {} : { overlayMs: rounded(overlayMs) }),
  };
}

const rounded = (ms: number): number => Math.round(ms * 1_000) / 1_000;

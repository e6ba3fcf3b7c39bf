import { isDeepStrictEqual } from 'node:util';
import { ownAllocation, type Snapshot } from '../dataplane/snapshot.ts';
import { familyOf } from '../net/address.ts';
import { tunnelName } from '../net/name.ts';
import { readSwitch } from '../linux/ipv6.ts';
import { run as runProgram, type Run } from '../linux/run.ts';
import type { Judgement } from '../rows/probe.ts';
import { wantedOf, type WantedOfPeer } from '../verdict/faults.ts';
import { judge, undecided, type Facts, type PathResult } from '../verdict/judge.ts';
import { endsOf, pathsBetween } from '../verdict/paths.ts';
import type { FaultKind } from '../verdict/wire.ts';
import { checkPeer, usualTimes, type CheckTimes } from './check.ts';
import { lookForFaults, wrongChecksums } from './kernel.ts';
import { Responder, type Membership } from './responder.ts';
import { connectMs, signsOf } from './signs.ts';

/** Counts probed paths. */
export interface ProbeMetrics {
  /** @param seconds round-trip times of the path's answers */
  probed: (
    layer: PathResult['layer'],
    result: 'answered' | 'refused' | 'lost',
    seconds: readonly number[],
  ) => void;
}

interface Options {
  /** UDP port of all agents. */
  port: number;
  snapshot: () => Snapshot | undefined;
  /** Number of beginnings and ends of the agent's kernel changes: odd while a change is under way. */
  steps: () => number;
  metrics: ProbeMetrics;
  run?: Run;
  times?: Partial<CheckTimes> & { connect?: number };
}

/** The result of a check of one peer. */
export interface CheckResult {
  judgement: Judgement | undefined;
  /** Why the check gave no result. */
  unknown: string | undefined;
  underlayMs: number | undefined;
  overlayMs: number | undefined;
}

const without6 = async (): Promise<boolean> =>
  (await readSwitch('net/ipv6/conf/default/disable_ipv6'))?.trim() !== '0';

/** Leaves out IPv6 entries on a node whose kernel has no IPv6. */
async function possibleOf(wanted: WantedOfPeer): Promise<WantedOfPeer> {
  if (!(await without6())) return wanted;
  const { routes, vteps } = wanted;
  return {
    ...wanted,
    routes: routes.filter(({ to }) => familyOf(to) === 4),
    vteps: vteps.filter((vtep) => familyOf(vtep) === 4),
  };
}

/** Probes single peers of this node, and answers the peers' probes. */
export class Prober {
  readonly #options: Options;
  readonly #run: Run;
  readonly responder: Responder;

  constructor(options: Options) {
    this.#options = options;
    this.#run = options.run ?? runProgram;
    this.responder = new Responder({
      port: options.port,
      membership: remembered(options.snapshot),
      look: (peer) => this.#faultKinds(peer),
      checksums: wrongChecksums,
      without6,
    });
  }

  /** Names of the nodes that can be probed now. */
  get peers(): string[] {
    const snapshot = this.#options.snapshot();
    return (snapshot?.allocations ?? [])
      .filter(({ node, spec }) => node !== snapshot?.node && spec.vtep !== undefined)
      .map(({ node }) => node);
  }

  /** Probes one peer and judges the answers. @param pace as in `checkPeer` */
  async check(peer: string, slowMs: number, pace?: () => Promise<void>): Promise<CheckResult> {
    const snapshot = this.#options.snapshot();
    const own = snapshot && ownAllocation(snapshot);
    const other = snapshot?.allocations.find(({ node }) => node === peer)?.spec;
    const wanted = snapshot && wantedOf(snapshot, peer);
    if (snapshot === undefined || own === undefined || other === undefined || wanted === undefined)
      return unknown('one of the two nodes has no tunnel’s end yet');
    const { port, times = {} } = this.#options;
    const { outer } = wanted;
    const paths = pathsBetween(own, other, { mtu: snapshot.config.mtu, outer });
    const startedAt = Date.now();
    const before = await wrongChecksums();
    const [checked, looked] = await Promise.all([
      checkPeer(paths, {
        port,
        slowMs,
        ...(pace && { pace }),
        times: { ...usualTimes, ...times },
      }),
      this.#look(peer, wanted),
    ]);
    const { results, first, last, isFresh, lastPathAt } = checked;
    this.#count(results);
    const after = await wrongChecksums();
    const from = own.addresses.find((one) => outer === familyOf(one)) ?? '';
    const signs = await signsOf(paths, results, {
      ...{ outer, slowMs, port, ...(pace && { pace }) },
      times: { answer: times.answer ?? usualTimes.answer, connect: times.connect ?? connectMs },
    });
    const { responder } = this;
    const facts: Facts = {
      node: snapshot.node,
      peer,
      from,
      to: wanted.address,
      results,
      checksums: { here: rise(before, after), there: rise(first?.checksums, last?.checksums) },
      faults: looked.faults,
      // a report without faults from before the loss proves nothing about the loss
      theirs: isFresh || (last?.faults ?? []).length > 0 ? last?.faults : undefined,
      pathMTU: looked.seen.ways.get(wanted.address)?.mtu,
      isFresh,
      signs,
      lastHeard: responder.hasHeardFrom(peer, lastPathAt)
        ? 'lately'
        : responder.hasHeardFrom(peer, startedAt)
          ? 'before'
          : 'no',
      neighbour: looked.seen.neighbour,
      tunnel: {
        link: tunnelName(snapshot.config.vni),
        port: snapshot.config.port,
        mtu: snapshot.config.mtu,
        outer,
      },
      port,
      slowMs,
    };
    return resultOf(facts);
  }

  async #look(peer: string, wanted: WantedOfPeer): ReturnType<typeof lookForFaults> {
    const { steps, snapshot } = this.#options;
    const isWanted = () => {
      const now = snapshot();
      return isDeepStrictEqual(now && wantedOf(now, peer), wanted);
    };
    return lookForFaults(this.#run, await possibleOf(wanted), { isWanted, steps });
  }

  async #faultKinds(peer: string): Promise<FaultKind[] | undefined> {
    const snapshot = this.#options.snapshot();
    const wanted = snapshot && wantedOf(snapshot, peer);
    if (wanted === undefined) return undefined;
    const { faults } = await this.#look(peer, wanted);
    return faults && [...new Set(faults.map(({ kind }) => kind))];
  }

  #count(results: readonly PathResult[]): void {
    const { metrics } = this.#options;
    for (const { layer, sent, answered, refused, rtts } of results) {
      if (sent === 0) continue;
      metrics.probed(
        layer,
        answered > 0 ? 'answered' : refused ? 'refused' : 'lost',
        rtts.map((ms) => ms / 1_000),
      );
    }
  }
}

const unknown = (why: string): CheckResult => ({
  judgement: undefined,
  unknown: why,
  underlayMs: undefined,
  overlayMs: undefined,
});

function resultOf(facts: Facts): CheckResult {
  const { results } = facts;
  const judgement = judge(facts);
  const fastest = (layer: PathResult['layer']) => {
    const rtts = results
      .filter((one) => one.layer === layer && one.size === 'small')
      .flatMap(({ rtts: some }) => some);
    return rtts.length === 0 ? undefined : Math.min(...rtts);
  };
  return {
    judgement,
    unknown: judgement === undefined ? undecided(facts) : undefined,
    underlayMs: fastest('underlay'),
    overlayMs: fastest('overlay'),
  };
}

const rise = (before: number | undefined, after: number | undefined): number | undefined =>
  before === undefined || after === undefined ? undefined : after - before;

/** Caches the membership until the snapshot changes, because every packet needs it. */
function remembered(snapshot: () => Snapshot | undefined): () => Membership {
  let last: { of: Snapshot | undefined; membership: Membership } | undefined;
  return () => {
    const now = snapshot();
    if (last?.of !== now || last === undefined) last = { of: now, membership: membershipOf(now) };
    return last.membership;
  };
}

/** Nodes whose probes are answered, by each address that their probes may come from. */
function membershipOf(snapshot: Snapshot | undefined): Membership {
  const own = snapshot && ownAllocation(snapshot);
  if (snapshot === undefined || own === undefined)
    return { own: [], members: new Map(), vtepOf: () => undefined };
  return {
    own: endsOf(own),
    vtepOf: (name, family) => {
      const spec = snapshot.allocations.find(({ node }) => node === name)?.spec;
      return spec && endsOf(spec).find((one) => one.layer === 'overlay' && one.family === family)?.address;
    },
    members: new Map(
      snapshot.allocations.flatMap(({ node, spec }) =>
        node === snapshot.node ? [] : endsOf(spec).map(({ address }) => [address, node] as const),
      ),
    ),
  };
}

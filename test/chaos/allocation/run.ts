import { messageOf } from '../../../src/error.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OverlayConfig } from '../../../src/api/types.ts';
import { overlayConfigs } from '../../../src/kube/resources.ts';
import { actions, type Action, type Size } from './actions.ts';
import { Arena } from './arena.ts';
import { Dice } from './dice.ts';
import { befall } from './faults.ts';
import { mark } from './history.ts';
import { atRest, type Violation } from './judge.ts';
import { look, unrest } from './rest.ts';

export interface RunOptions {
  rounds: number;
  seed: number;
  operators: number;
  nodes: number;
  restEvery?: number;
  bundle: string;
  /** Leaves out the actions whose names contain this word. */
  without?: string;
  logs?: string;
  /** Called after each round. */
  onRound?: (round: number) => void;
}

/** The result of a run. */
export interface Outcome {
  /** Rounds until the end, or until a rule was broken. */
  rounds: number;
  changes: number;
  revision: number;
  actions: Map<string, number>;
  faults: Map<string, number>;
  writes: Map<string, number>;
  pauses: Map<string, number>;
  kills: number;
  rests: number;
  /** Longest time in ms from the last fault until the cluster had converged. */
  longestRest: number;
  refused: number;
  violations: Violation[];
}

/** Default number of rounds between two rests. */
const usualRest = 25;
/** Time after which the administrator answers an alarm, in ms. */
const confirmMs = 15_000;
/** Ten times what an otherwise idle machine needs. */
const patienceMs = 200_000;

/** Disturbs operators and cluster, round after round, until all rounds are done or a rule is broken. */
export async function run(options: RunOptions): Promise<Outcome> {
  const dice = new Dice(String(options.seed));
  const arena = await Arena.start({ ...options, dice });
  const done = new Map<string, number>();
  const rests: number[] = [];
  const { judge } = arena;
  const { restEvery = usualRest } = options;
  let round = 0;
  try {
    const size: Size = { least: Math.ceil(options.nodes / 2), most: options.nodes };
    const { without } = options;
    const repertoire = actions(size).filter(({ what }) => without === undefined || !what.includes(without));
    await arena.cluster.join(Math.ceil(options.nodes * 0.8), () => ({ role: 'a' }));
    while (round < options.rounds && judge.violations.length === 0) {
      round++;
      await disturb(arena, repertoire, dice.fork(`round ${round}`), done);
      if (round % restEvery === 0 || round === options.rounds) rests.push(await rest(arena));
      options.onRound?.(round);
    }
    return outcome(arena, { round, done, rests });
  } catch (error) {
    const what = messageOf(error);
    judge.violations.push({ rule: 'ended', revision: judge.revision, what, story: [] });
    return outcome(arena, { round, done, rests });
  } finally {
    await arena.end();
  }
}

async function disturb(
  arena: Arena,
  repertoire: readonly Action[],
  dice: Dice,
  done: Map<string, number>,
): Promise<void> {
  arena.check();
  befall(arena.operators, dice.fork('faults'));
  const chosen = Array.from({ length: dice.whole(1, 3) }, () => dice.weighted(repertoire));
  for (const [at, { what, run: act }] of chosen.entries()) {
    done.set(what, (done.get(what) ?? 0) + 1);
    await act(arena.cluster, dice.fork(`action ${at}`));
  }
  await sleep(dice.whole(20, 300));
}

/** Ends the faults and waits until the cluster has converged. Returns the time that this took, in ms. */
async function rest(arena: Arena): Promise<number> {
  const { judge, cluster, operators, plane } = arena;
  await Promise.all([cluster.settled(), operators.calm()]);
  const from = performance.now();
  for (;;) {
    arena.check();
    const still = await look(plane.client);
    const wrong = unrest(still);
    const took = performance.now() - from;
    if (wrong.length === 0) {
      const revision = await mark(plane.etcd.url, atRest);
      while (judge.revision < revision) {
        arena.check();
        await sleep(10);
      }
      return took;
    }
    if (judge.violations.length > 0) return took;
    if (took > patienceMs) {
      const what = `not at rest ${Math.round(took / 1000)} s after the last fault: ${wrong.length} things, such as ${wrong.slice(0, 5).join('; ')}`;
      judge.violations.push({ rule: 'not converged', revision: judge.revision, what, story: wrong });
      return took;
    }
    if (took > confirmMs) await confirm(arena, still.config);
    await sleep(200);
  }
}

/** Confirms what the cluster asks its administrator to confirm. */
async function confirm({ plane, cluster }: Arena, config: OverlayConfig | undefined): Promise<void> {
  const { restored, departures } = config?.status ?? {};
  const annotations = {
    ...(restored === undefined ? {} : { 'overlaynet.dev/confirm-restore': restored.id }),
    ...(departures === undefined ? {} : { 'overlaynet.dev/confirm-departures': departures.id }),
  };
  if (Object.keys(annotations).length === 0) return;
  await cluster.try(() =>
    plane.client.patch(overlayConfigs, 'default', { metadata: { annotations } }, { type: 'merge' }),
  );
}

function outcome(
  { judge, operators, cluster }: Arena,
  { round, done, rests }: { round: number; done: Map<string, number>; rests: number[] },
): Outcome {
  const sum = (maps: ReadonlyMap<string, number>[]) => {
    const all = new Map<string, number>();
    for (const map of maps) for (const [key, value] of map) all.set(key, (all.get(key) ?? 0) + value);
    return all;
  };
  return {
    rounds: round,
    changes: judge.read,
    revision: judge.revision,
    actions: done,
    faults: sum(operators.all.map(({ proxy }) => proxy.faults)),
    writes: sum(operators.all.map(({ proxy }) => proxy.writes)),
    pauses: operators.injuries.pauses,
    kills: operators.injuries.kills,
    rests: rests.length,
    longestRest: Math.max(0, ...rests),
    refused: cluster.refused,
    violations: judge.violations,
  };
}

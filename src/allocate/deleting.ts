import type { Finding } from '../api/conditions.ts';
import { defaultStaleAfterMs, isBare, isWaiting } from '../api/inuse.ts';
import { parseDuration } from '../api/duration.ts';
import type { NetworkUser, NetworkUsers, OverlayAgent, OverlayNetwork } from '../api/types.ts';
import { named } from './alarms.ts';
import { holdersOf } from './holders.ts';
import type { Plan } from './plan.ts';
import type { View } from './view.ts';

/** How far the deletion of a network is. */
export interface DeletionVerdict {
  /** What to do with our finalizer; undefined: nothing. */
  finalizer: 'add' | 'remove' | undefined;
  /** The condition, while the network waits for its deletion. */
  finding: Finding | undefined;
  /** When the next silent agent is no longer waited for, in milliseconds since the epoch; Infinity: never. */
  wakeAt: number;
}

/** Times by this operator's own clock, in milliseconds since the epoch: clocks of agents may be wrong. */
export interface DeletionTimes {
  /** When this operator first saw that the network is being deleted. */
  deletionSeen: number;
  /**
   * When the node's OverlayAgent last changed with an answer to this deletion in it, though the answer may be gone by
   * now; undefined: not since this operator started.
   */
  answered: (node: string) => number | undefined;
}

export type DeletionFacts = Pick<
  View,
  'now' | 'config' | 'nodes' | 'agents' | 'allocations' | 'ledger' | 'networksKind'
>;
type Alarms = Pick<Plan, 'departures' | 'restore'>;

/** The most containers that a message names. */
const mostNamed = 20;

const nothing: DeletionVerdict = { finalizer: undefined, finding: undefined, wakeAt: Infinity };
const going: DeletionVerdict = { ...nothing, finalizer: 'remove' };

/** Returns how long a silent agent is waited for, in milliseconds. */
export const staleAfterMs = ({ config }: Pick<View, 'config'>): number =>
  parseDuration(config?.spec.staleAfter ?? '') ?? defaultStaleAfterMs;

/**
 * Judges whether containers keep a network from being deleted, and names them.
 * Every network has our finalizer, because a container may join at any time and its agent's report takes seconds. A
 * network that is being deleted loses the finalizer when each node with a block has answered that no container uses
 * it, or at once under the policy Force. Nodes that are gone are not waited for; silent agents only for a limited time.
 * Networks that were deleted with their CRD do not wait here: agents keep them.
 */
export function judgeDeletion(
  network: OverlayNetwork,
  facts: DeletionFacts,
  alarms: Alarms,
  times: DeletionTimes,
): DeletionVerdict {
  const { metadata, spec } = network;
  if (isBare(metadata)) return { ...nothing, finalizer: 'add' };
  if (!isWaiting(metadata)) return nothing;
  if (spec.deletionPolicy === 'Force' || facts.networksKind?.goes === true) return going;
  const waiting = waitedFor(network, facts, times);
  const why = alarmText(alarms);
  const { departures } = alarms;
  // the first of many nodes that are deleted together is no proof that its containers are gone
  const isSure = why === undefined && !departures.unsettled;
  if (isSure && waiting.users.length + waiting.uncounted + waiting.unanswered.length === 0) return going;
  const wakeAt = departures.unsettled ? Math.min(waiting.wakeAt, departures.wakeAt) : waiting.wakeAt;
  return { ...nothing, finding: findingOf(network, waiting, why), wakeAt };
}

interface Waiting {
  users: { node: string; user: NetworkUser }[];
  /** Number of containers that agents counted and did not name. */
  uncounted: number;
  /** Nodes whose agents have not answered yet. */
  unanswered: string[];
  /** Nodes whose answers are no longer waited for. */
  silent: string[];
  wakeAt: number;
}

/** Returns what the agent says about containers, in answer to this deletion of the network. */
export function answerOf(
  agent: OverlayAgent | undefined,
  { metadata: { name, deletionTimestamp } }: OverlayNetwork,
): NetworkUsers | undefined {
  const answer = agent?.status?.networks?.find((network) => network.name === name)?.users;
  return answer?.deletion === deletionTimestamp ? answer : undefined;
}

/**
 * Every node with a block of the network must answer that nothing uses it. No node gets a new block meanwhile. An agent is
 * silent if it has not answered within `staleAfter`, or has not repeated within that time that containers use it.
 */
function waitedFor(network: OverlayNetwork, facts: DeletionFacts, times: DeletionTimes): Waiting {
  const waiting: Waiting = { users: [], uncounted: 0, unanswered: [], silent: [], wakeAt: Infinity };
  for (const { node } of holdersOf(network.metadata.name, facts)) {
    const answer = answerOf(facts.agents.get(node), network);
    // no container can start to use it there
    if (answer?.count === 0) continue;
    const until = Math.max(times.deletionSeen, times.answered(node) ?? 0) + staleAfterMs(facts);
    if (until <= facts.now) {
      waiting.silent.push(node);
      continue;
    }
    waiting.wakeAt = Math.min(waiting.wakeAt, until);
    if (answer === undefined) {
      waiting.unanswered.push(node);
      continue;
    }
    const users = answer.named ?? [];
    for (const user of users) waiting.users.push({ node, user });
    waiting.uncounted += Math.max(0, answer.count - users.length);
  }
  return waiting;
}

/**
 * The alarm that also holds up the deletion: while it is not certain that nodes or objects are gone, no network goes.
 */
function alarmText({ departures, restore }: Alarms): string | undefined {
  if (restore.active) return 'OverlayConfig is Restored: nothing is taken back meanwhile';
  if (departures.disbelieved)
    return 'OverlayConfig is Degraded: nothing of nodes that are gone is taken back meanwhile';
  return undefined;
}

function findingOf(
  { metadata: { name }, spec: { deletionPolicy = 'Block' } }: OverlayNetwork,
  { users, uncounted, unanswered, silent }: Waiting,
  alarm: string | undefined,
): Finding {
  const count = users.length + uncounted;
  const shown = users.slice(0, mostNamed).map(({ node, user }) => userText(node, user));
  const words = [
    ...(alarm === undefined ? [] : [alarm]),
    ...(count === 0
      ? []
      : [
          `${count === 1 ? '1 container uses' : `${count} containers use`} it: ${shown.join(', ')}${count > shown.length ? ', …' : ''}`,
        ]),
    ...(unanswered.length === 0 ? [] : [`these agents have not answered yet: ${named(unanswered.sort())}`]),
    ...(silent.length === 0 ? [] : [`these are silent, and not waited for: ${named(silent.sort())}`]),
  ];
  const reason = count > 0 ? 'InUse' : alarm === undefined ? 'AgentsAsked' : 'Alarm';
  return {
    type: 'Deleting',
    status: 'True',
    reason,
    message:
      `spec.deletionPolicy ${deletionPolicy}: ${words.join('; ')}; to take the network from its containers at once: ` +
      `kubectl patch overlaynetwork ${name} --type=merge -p '{"spec":{"deletionPolicy":"Force"}}'`,
  };
}

/** A container in words: `pod default/web-0 (node1, 9.0.1.5)`. */
export function userText(node: string, { pod, container, address }: NetworkUser): string {
  const user = pod === undefined ? `container ${container ?? 'without a name'}` : `pod ${pod}`;
  return `${user} (${[node, address].filter((text) => text !== undefined).join(', ')})`;
}

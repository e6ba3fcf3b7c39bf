import type { Finding } from '../api/conditions.ts';
import { defaultStaleAfterMs, isGuarded, isWaiting } from '../api/inuse.ts';
import { parseDuration } from '../api/duration.ts';
import type { NetworkUser, OverlayNetwork } from '../api/types.ts';
import { named } from './alarms.ts';
import type { Plan } from './plan.ts';
import type { View } from './view.ts';

/** What a deletion of a network comes to. */
export interface DeletionVerdict {
  /** What is to become of our finalizer; undefined: it is as it should be. */
  finalizer: 'add' | 'remove' | undefined;
  /** The condition, while the network waits for its deletion. */
  finding: Finding | undefined;
  /** When an agent has been silent for long enough, in milliseconds since the epoch; Infinity: never. */
  wakeAt: number;
}

/** When this operator heard of them, by its own clock: those of agents may be wrong. Milliseconds since the epoch. */
export interface Heard {
  /** When it first saw that the network is being deleted. */
  deletionSeen: number;
  /** When the agent's OverlayAgent last changed; undefined: not since this operator began. */
  agent: (node: string) => number | undefined;
}

type Facts = Pick<View, 'now' | 'config' | 'nodes' | 'agents' | 'allocations' | 'networksKind'>;
type Alarms = Pick<Plan, 'departures' | 'restore'>;

/** Containers that a message names at most. */
const mostNamed = 20;

const nothing: DeletionVerdict = { finalizer: undefined, finding: undefined, wakeAt: Infinity };
const going: DeletionVerdict = { ...nothing, finalizer: 'remove' };

/** @returns how long an agent that says nothing is waited for, in milliseconds */
export const staleAfterMs = ({ config }: Pick<View, 'config'>): number =>
  parseDuration(config?.spec.staleAfter ?? '') ?? defaultStaleAfterMs;

/**
 * Whether containers keep a network, and which. It has our finalizer while some agent says that containers use it. One
 * that somebody deletes loses it with the last of them, or at once with the policy Force. Nodes that are gone are not
 * waited for, and agents only so long. What went with its CRD is not kept here: agents keep that.
 */
export function judgeDeletion(
  network: OverlayNetwork,
  facts: Facts,
  alarms: Alarms,
  heard: Heard,
): DeletionVerdict {
  const { metadata, spec } = network;
  const guarded = isGuarded(metadata);
  const kindGoes = facts.networksKind?.goes === true;
  if (!isWaiting(metadata)) {
    // a finalizer cannot be added to what is being deleted
    if (metadata.deletionTimestamp !== undefined) return nothing;
    const wanted = !kindGoes && isUsed(metadata.name, facts);
    return wanted === guarded ? nothing : { ...nothing, finalizer: wanted ? 'add' : 'remove' };
  }
  if (spec.deletionPolicy === 'Force' || kindGoes) return going;
  const waiting = waitedFor(network, facts, heard);
  const why = alarmText(alarms);
  if (why === undefined && waiting.users.length + waiting.uncounted + waiting.unheard.length === 0)
    return going;
  return { ...nothing, finding: findingOf(network, waiting, why), wakeAt: waiting.wakeAt };
}

const isUsed = (name: string, { agents, nodes }: Facts): boolean =>
  [...agents].some(
    ([node, { status }]) =>
      nodes.has(node) &&
      status?.networks?.some((network) => network.name === name && network.inUse === true) === true,
  );

interface Waiting {
  users: { node: string; user: NetworkUser }[];
  /** Users that agents did not name. */
  uncounted: number;
  /** Nodes whose agents have not answered yet. */
  unheard: string[];
  /** Nodes that are not waited for any more. */
  silent: string[];
  wakeAt: number;
}

/** Every node that is shown a block of the network has to say that nothing uses it. Nobody gets a new one meanwhile. */
function waitedFor(
  { metadata: { name, deletionTimestamp } }: OverlayNetwork,
  facts: Facts,
  heard: Heard,
): Waiting {
  const waiting: Waiting = { users: [], uncounted: 0, unheard: [], silent: [], wakeAt: Infinity };
  for (const [node, { spec }] of facts.allocations) {
    if (!facts.nodes.has(node) || spec.networks?.some((network) => network.name === name) !== true) continue;
    const said = facts.agents.get(node)?.status?.networks?.find((network) => network.name === name)?.users;
    const answer = said?.deletion === deletionTimestamp ? said : undefined;
    // nothing can come to use it there again
    if (answer?.count === 0) continue;
    const until = Math.max(heard.deletionSeen, heard.agent(node) ?? 0) + staleAfterMs(facts);
    if (until <= facts.now) {
      waiting.silent.push(node);
      continue;
    }
    waiting.wakeAt = Math.min(waiting.wakeAt, until);
    if (answer === undefined) {
      waiting.unheard.push(node);
      continue;
    }
    const users = answer.named ?? [];
    for (const user of users) waiting.users.push({ node, user });
    waiting.uncounted += Math.max(0, answer.count - users.length);
  }
  return waiting;
}

/** While it is doubted that nodes or objects are gone, a network does not go either. */
function alarmText({ departures, restore }: Alarms): string | undefined {
  if (restore.active) return 'OverlayConfig is Restored: nothing is taken back meanwhile';
  if (departures.disbelieved)
    return 'OverlayConfig is Degraded: nothing of nodes that are gone is taken back meanwhile';
  return undefined;
}

function findingOf(
  { metadata: { name }, spec: { deletionPolicy = 'Block' } }: OverlayNetwork,
  { users, uncounted, unheard, silent }: Waiting,
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
    ...(unheard.length === 0 ? [] : [`these agents have not answered yet: ${named(unheard.sort())}`]),
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

/** `pod default/web-0 (node1, 9.0.1.5)` */
export function userText(node: string, { pod, container, address }: NetworkUser): string {
  const who = pod === undefined ? `container ${container ?? 'without a name'}` : `pod ${pod}`;
  return `${who} (${[node, address].filter((text) => text !== undefined).join(', ')})`;
}

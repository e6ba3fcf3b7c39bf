import { isWaiting } from '../api/inuse.ts';
import type { NetworkUser, NetworkUsers, OverlayNetwork } from '../api/types.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { mostNamed, type UsersOf } from './users.ts';

/** The facts that a count needs, all of the same moment. */
interface Counting {
  /** The networks as the API server has them. */
  networks: readonly OverlayNetwork[];
  /** The snapshot from which containers get their networks. */
  snapshot: Pick<Snapshot, 'networks'> | undefined;
  /** Finds users by the plugin's records and the node's links. */
  usersOf: UsersOf;
  /** Docker's containers on a network; undefined until an engine has answered. */
  docker: (network: string) => NetworkUser[] | undefined;
  /** The answer that an earlier agent wrote to the status. */
  stored: (network: string) => NetworkUsers | undefined;
  /** Whether a count of 0 will stay true. */
  isFinal: () => boolean;
  /** How often an answer is repeated while containers remain, in milliseconds. */
  renewMs: number;
}

/** The users of each network that waits for its deletion, on this node, by network. */
export type DeletionAnswers = ReadonlyMap<string, NetworkUsers>;

/**
 * Answers each deletion of a network with its users on this node.
 * Once a pass has seen the deletion, no container joins a network that has no containers. Until it is certain that this
 * holds for all containers, the answer is not 0: the earlier answer stays.
 */
export function deletionAnswers(counting: Counting, before: DeletionAnswers): DeletionAnswers {
  const applied = new Map(
    (counting.snapshot?.networks ?? []).map(({ metadata }) => [metadata.name, metadata.deletionTimestamp]),
  );
  const next = new Map<string, NetworkUsers>();
  for (const { metadata } of counting.networks) {
    const { name, deletionTimestamp: deletion = '' } = metadata;
    if (!isWaiting(metadata)) continue;
    if (applied.has(name) && applied.get(name) !== deletion) continue;
    const last = before.get(name) ?? counting.stored(name);
    const given = answer(name, deletion, last, counting);
    if (given !== undefined) next.set(name, given);
  }
  return JSON.stringify([...next]) === JSON.stringify([...before]) ? before : next;
}

function answer(
  name: string,
  deletion: string,
  last: NetworkUsers | undefined,
  { usersOf, docker, isFinal, renewMs }: Counting,
): NetworkUsers | undefined {
  const dockers = docker(name);
  if (dockers === undefined) return last;
  const users = [...usersOf(name), ...dockers];
  const now = Date.now();
  const present: NetworkUsers = {
    deletion,
    at: new Date(now).toISOString(),
    count: users.length,
    ...(users.length === 0 ? {} : { named: users.slice(0, mostNamed) }),
  };
  const old = last?.deletion === deletion ? last : undefined;
  if (old !== undefined && isSame(old, present)) {
    // the operator waits only a limited time for a silent agent
    return old.count > 0 && now - Date.parse(old.at) >= renewMs ? present : old;
  }
  return users.length > 0 || isFinal() ? present : old && { ...old, at: renewed(old, now, renewMs) };
}

const isSame = (a: NetworkUsers, b: NetworkUsers): boolean =>
  JSON.stringify([a.count, a.named]) === JSON.stringify([b.count, b.named]);

/** Renews an earlier answer that stays because 0 is not certain yet. It is repeated like any other answer. */
const renewed = ({ at }: NetworkUsers, now: number, renewMs: number): string =>
  now - Date.parse(at) >= renewMs ? new Date(now).toISOString() : at;

import { isDeepStrictEqual } from 'node:util';
import type { AllocatedNetwork, DrainingBlock, NetworkUser } from '../api/types.ts';
import { mostNamed, type UsersOf } from './users.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { contains, parseCidr } from '../net/cidr.ts';

/** The facts that a count needs, all of the same moment. */
interface Counting {
  /** The snapshot from which containers get their networks. */
  snapshot: Pick<Snapshot, 'networks'> | undefined;
  /** This node's networks, as applied. */
  allocated: readonly AllocatedNetwork[];
  /** Finds users by the plugin's records and the node's links. */
  usersOf: UsersOf;
  /** Docker's containers on a block; undefined until an engine has answered. */
  docker: (network: string, block: string) => NetworkUser[] | undefined;
  /** Whether a count of 0 will stay true. */
  isFinal: () => boolean;
}

/** The users of this node's blocks in draining subnets, by network. */
export type DrainAnswers = ReadonlyMap<string, readonly DrainingBlock[]>;

/**
 * Counts the users of this node's blocks in draining subnets.
 * The answer names the generation of the network from which containers get their addresses: under that generation no container gets an
 * address in these blocks. Until it is certain that this holds for all containers, the answer is not 0: the earlier answer
 * stays. It is of another generation, or only a moment old.
 */
export function drainAnswers(
  { snapshot, allocated, usersOf, docker, isFinal }: Counting,
  before: DrainAnswers,
): DrainAnswers {
  const next = new Map<string, DrainingBlock[]>();
  for (const { metadata, spec } of snapshot?.networks ?? []) {
    const { name, uid: networkUID = '', generation } = metadata;
    const wholes = spec.subnets
      .filter(({ state }) => state === 'Draining')
      .map(({ cidr }) => parseCidr(cidr));
    if (wholes.length === 0 || generation === undefined) continue;
    const blocks = allocated.find((one) => one.name === name)?.subnets ?? [];
    const answers = blocks.flatMap(({ cidr }): DrainingBlock[] => {
      const block = parseCidr(cidr);
      if (!wholes.some((whole) => contains(whole, block))) return [];
      const old = before.get(name)?.filter((one) => one.cidr === cidr) ?? [];
      const dockers = docker(name, cidr);
      if (dockers === undefined) return old;
      const users = [...usersOf(name, block), ...dockers];
      const answer = { cidr, networkUID, generation, count: users.length };
      if (users.length > 0) return [{ ...answer, named: users.slice(0, mostNamed) }];
      return isDeepStrictEqual(old, [answer]) || isFinal() ? [answer] : old;
    });
    if (answers.length > 0) next.set(name, answers);
  }
  return isDeepStrictEqual(next, before) ? before : next;
}

/** Whether a container still uses a draining block. */
export const isDraining = (answers: DrainAnswers): boolean =>
  [...answers.values()].some((blocks) => blocks.some(({ count }) => count > 0));

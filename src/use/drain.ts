import { isDeepStrictEqual } from 'node:util';
import type { AllocatedNetwork, DrainingBlock, NetworkUser } from '../api/types.ts';
import { mostNamed, type UsersOf } from './users.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { contains, parseCidr } from '../net/cidr.ts';

/** What is counted, all of one moment. */
interface Counting {
  /** What containers are told to join by. */
  snapshot: Pick<Snapshot, 'networks'> | undefined;
  /** This node's, as applied. */
  allocated: readonly AllocatedNetwork[];
  /** By the records and links. */
  usersOf: UsersOf;
  /** Docker's containers on a block; undefined: an engine has not answered yet. */
  docker: (network: string, block: string) => NetworkUser[] | undefined;
  /** A container may still be told what was in force before. */
  asking: boolean;
}

/** By network: who uses this node's blocks of entries that drain. */
export type DrainAnswers = ReadonlyMap<string, readonly DrainingBlock[]>;

/**
 * Counts who uses this node's blocks of entries that drain, under the generation of the network that containers are told
 * to join by: under that one no container gets an address of them, so a count of 0 stays true. Where that is not known yet,
 * the answer before stands, which is of another generation or of a moment ago.
 */
export function drainAnswers(
  { snapshot, allocated, usersOf, docker, asking }: Counting,
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
      if (asking || dockers === undefined) return old;
      const users = [...usersOf(name, block), ...dockers];
      const answer = { cidr, networkUID, generation, count: users.length };
      return [users.length === 0 ? answer : { ...answer, named: users.slice(0, mostNamed) }];
    });
    if (answers.length > 0) next.set(name, answers);
  }
  return isDeepStrictEqual(next, before) ? before : next;
}

/** Whether some container still has to go. */
export const isDraining = (answers: DrainAnswers): boolean =>
  [...answers.values()].some((blocks) => blocks.some(({ count }) => count > 0));

import type { OverlayNetwork } from '../api/types.ts';
import { answerOf, judgeDeletion, type DeletionFacts, type DeletionVerdict } from './deleting.ts';

interface SeenDeletion {
  /** When this operator first saw the deletion, in milliseconds since the epoch. */
  at: number;
  /** By node: when its OverlayAgent last changed with an answer to this deletion in it. */
  answered: Map<string, number>;
}

/**
 * Judges deletions, and remembers which agents answered them. An OverlayAgent that a person deletes loses its answer, and its
 * agent writes the next one only after a while. Meanwhile that agent counts as one that answered, even for an old deletion.
 */
export class Deletions {
  /** By uid of the network. */
  readonly #seen = new Map<string, SeenDeletion>();

  /**
   * Judges each network, by name.
   * @param alarms what the last plan found
   * @param changedAt when a node's OverlayAgent last changed by this operator's clock; undefined: not since its start
   */
  judge(
    networks: readonly OverlayNetwork[],
    facts: DeletionFacts,
    alarms: Parameters<typeof judgeDeletion>[2],
    changedAt: (node: string) => number | undefined,
  ): Map<string, DeletionVerdict> {
    const going = networks.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
    const uids = new Set(going.map(({ metadata }) => metadata.uid));
    for (const uid of this.#seen.keys()) if (!uids.has(uid)) this.#seen.delete(uid);
    return new Map(
      networks.map((network) => {
        const { name, uid = '', deletionTimestamp } = network.metadata;
        const seen = this.#seen.get(uid) ?? { at: facts.now, answered: new Map<string, number>() };
        if (deletionTimestamp !== undefined) {
          this.#seen.set(uid, seen);
          for (const [node, agent] of facts.agents) {
            const at = answerOf(agent, network) === undefined ? undefined : changedAt(node);
            if (at !== undefined) seen.answered.set(node, at);
          }
        }
        const answered = (node: string) => seen.answered.get(node);
        return [name, judgeDeletion(network, facts, alarms, { deletionSeen: seen.at, answered })];
      }),
    );
  }
}

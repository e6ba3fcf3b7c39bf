import type { Client } from '../kube/client.ts';
import type { Log } from '../log.ts';
import { answer, type Sources } from '../containers/answer.ts';
import { Pods } from '../containers/pods.ts';
import { AgentSocket } from '../containers/socket.ts';
import { reasonOf } from '../host/file.ts';
import type { Metrics } from './metrics.ts';
import type { Pass } from './pass.ts';
import type { Use } from './use.ts';

/** Where the CNI plugin asks which networks a container joins, and how full they are. */
export class Door {
  /** Why nobody can ask. */
  problem: string | undefined;
  readonly #socket: AgentSocket;

  /** @param options.onContainer told of one that is about to come, and when to look for it, in milliseconds */
  constructor(options: {
    path: string;
    client: Client;
    namespaces: Sources['namespaces'];
    pass: Pick<Pass, 'settled'>;
    use: Use;
    metrics: Metrics;
    onContainer: (soonMs: number) => void;
    log: Log;
  }) {
    const { path, client, namespaces, pass, use, metrics, onContainer, log } = options;
    const pods = new Pods(client);
    this.#socket = new AgentSocket({
      path,
      answer: async (ask) => {
        const known = async () => use.known(await pass.settled(), ask);
        const choice = await answer(ask, { known, namespaces, pods });
        const soonMs = use.answered(ask, choice);
        if (soonMs !== undefined) onContainer(soonMs);
        return choice;
      },
      usage: () => use.text,
      onAnswer: (code) => {
        metrics.asked(code);
      },
      log,
    });
  }

  /** @throws ListenError */
  listen(): Promise<void> {
    return this.#socket.listen();
  }

  close(): Promise<void> {
    return this.#socket.close();
  }

  /** Listens again where someone has removed the socket; where that fails it is the `problem`. */
  async repair(): Promise<void> {
    try {
      await this.#socket.repair();
      this.problem = undefined;
    } catch (error) {
      this.problem = reasonOf(error);
    }
  }
}

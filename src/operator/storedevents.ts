import { apiVersion } from '../api/types.ts';
import type { Client } from '../kube/client.ts';
import { events } from '../kube/resources.ts';
import type { StoredEvent } from '../rows/events.ts';

/** How long an answer serves: every page that is open asks after each change. */
const keptMs = 2_000;
const mostKept = 100;

/** The Events about our objects that the API server has. They are read when a user looks at them. */
export class StoredEvents {
  readonly #client: Pick<Client, 'list'>;
  readonly #kept = new Map<string, { until: number; answer: Promise<StoredEvent[]> }>();

  constructor(client: Pick<Client, 'list'>) {
    this.#client = client;
  }

  /** @param name of the objects; undefined: of all */
  list(name?: string): Promise<StoredEvent[]> {
    const key = name ?? '';
    const known = this.#kept.get(key);
    if (known !== undefined && known.until > Date.now()) return known.answer;
    // those of cluster-scoped objects are in the namespace default
    const about = name === undefined ? '' : `,involvedObject.name=${name}`;
    const fieldSelector = `involvedObject.apiVersion=${apiVersion}${about}`;
    const answer = this.#client
      .list(events('default'), { fieldSelector })
      .then(({ items }) => items as StoredEvent[]);
    this.#kept.set(key, { until: Date.now() + keptMs, answer });
    answer.catch(() => this.#kept.delete(key));
    const [oldest = ''] = this.#kept.keys();
    if (this.#kept.size > mostKept) this.#kept.delete(oldest);
    return answer;
  }
}

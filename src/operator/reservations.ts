import type { View } from '../allocate/view.ts';
import type { OverlayReservation } from '../api/types.ts';
import { isMissingKind } from '../kube/error.ts';
import type { Client } from '../kube/client.ts';
import type { Informer } from '../kube/informer.ts';
import { definitions, overlayReservations } from '../kube/resources.ts';

type Known = Pick<View, 'reservations' | 'reservationsAt'>;

const definition = `${overlayReservations.plural}.${overlayReservations.apiVersion.split('/')[0] ?? ''}`;

/**
 * The newest that is known of the OverlayReservations. Lists of its own come beside the cache: an informer that lists
 * begins its watch anew, and pauses between lists.
 */
export class ReservationsReader {
  readonly #client: Client;
  readonly #cache: Informer<OverlayReservation>;
  #listed: Known | undefined;
  /** Counts how often the API server's data went back. */
  #restores = 0;

  constructor(client: Client, cache: Informer<OverlayReservation>) {
    this.#client = client;
    this.#cache = cache;
  }

  /** A list counts until the cache is as new: a watch that lags must not bring back an object that the list did not have. */
  get known(): Known {
    const { byName, resourceVersion } = this.#cache;
    const cached = { reservations: byName, reservationsAt: Number(resourceVersion) };
    const listed = this.#listed;
    return listed !== undefined && listed.reservationsAt > cached.reservationsAt ? listed : cached;
  }

  /** The API server's data went back: the version of the last list means nothing any more. */
  forget(): void {
    this.#restores++;
    this.#listed = undefined;
  }

  /**
   * @param at the version that they have to be known at
   * @throws ApiError, or Error without an answer
   */
  async read(at: number): Promise<void> {
    const restores = this.#restores;
    const listed = await this.#list(at);
    if (restores === this.#restores) this.#listed = listed;
  }

  async #list(at: number): Promise<Known> {
    try {
      const { items, resourceVersion } = await this.#client.list(overlayReservations);
      const reservations = new Map(items.map((one) => [one.metadata.name, one]));
      return { reservations, reservationsAt: Number(resourceVersion) };
    } catch (error) {
      // an API server does not know a kind at once, so only one whose CRD is not there has no objects
      if (!isMissingKind(error) || (await this.#client.get(definitions, definition)) !== undefined)
        throw error;
      return { reservations: new Map(), reservationsAt: at };
    }
  }
}

import type { NetworksKind } from '../allocate/view.ts';
import type { Client } from '../kube/client.ts';
import { definitions, overlayNetworks } from '../kube/resources.ts';

/** How often the CRD is read again, in milliseconds. */
const readAgainMs = 60_000;
const readSoonMs = 4_000;

const name = `${overlayNetworks.plural}.${overlayNetworks.apiVersion.split('/')[0] ?? ''}`;

/** Reads the CRD of OverlayNetwork, to know whether missing networks were deleted, or disappeared with their CRD. */
export class NetworksKindReader {
  readonly #client: Client;
  #last: { at: number; kind: NetworksKind } | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  /** The last answer; undefined before the first. */
  get last(): NetworksKind | undefined {
    return this.#last?.kind;
  }

  /** @throws ApiError, or Error without an answer */
  async read(): Promise<void> {
    const found = await this.#client.get(definitions, name);
    const { uid = '', deletionTimestamp } = found?.metadata ?? {};
    this.#last = {
      at: Date.now(),
      kind: { uid, goes: found === undefined || deletionTimestamp !== undefined },
    };
  }

  /** @param soon whether a network waits to see if its CRD is deleted */
  async readIfOld(soon = false): Promise<void> {
    const againMs = soon ? readSoonMs : readAgainMs;
    if (this.#last === undefined || this.#last.at + againMs < Date.now()) await this.read();
  }
}

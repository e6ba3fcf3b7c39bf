import type { NetworksKind } from '../allocate/view.ts';
import type { Client } from '../kube/client.ts';
import { definitions, overlayNetworks } from '../kube/resources.ts';

/** The CRD is read again after so many milliseconds. */
const readAgainMs = 60_000;
const readSoonMs = 4_000;

const name = `${overlayNetworks.plural}.${overlayNetworks.apiVersion.split('/')[0] ?? ''}`;

/** Reads the CRD of OverlayNetwork: whether networks that are gone were deleted, or went with their CRD. */
export class NetworksKindReader {
  readonly #client: Client;
  #last: { at: number; kind: NetworksKind } | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  /** As it was read last; undefined: it has not been read. */
  get last(): NetworksKind | undefined {
    return this.#last?.kind;
  }

  /** @throws ApiError, or Error when nothing was answered */
  async read(): Promise<void> {
    const found = await this.#client.get(definitions, name);
    const { uid = '', deletionTimestamp } = found?.metadata ?? {};
    this.#last = {
      at: Date.now(),
      kind: { uid, goes: found === undefined || deletionTimestamp !== undefined },
    };
  }

  /** @param soon something waits for its CRD to go, or not to go */
  async readIfOld(soon = false): Promise<void> {
    const againMs = soon ? readSoonMs : readAgainMs;
    if (this.#last === undefined || this.#last.at + againMs < Date.now()) await this.read();
  }
}

import type { APIServer } from '../dataplane/snapshot.ts';
import type { Client } from '../kube/client.ts';
import { Informer } from '../kube/informer.ts';
import { endpointSlices, type EndpointSlice } from '../kube/resources.ts';
import type { Log } from '../log.ts';

/**
 * Where the API servers listen, as they say themselves: each keeps itself in the EndpointSlice `kubernetes` of the
 * namespace `default`. The data path does not hang on it, only what `isolation.allowAPIServer` opens.
 */
export class APIServers {
  readonly informer: Informer<EndpointSlice>;

  constructor(client: Client, log: Log) {
    const fieldSelector = 'metadata.name=kubernetes';
    this.informer = new Informer(client, endpointSlices('default'), { fieldSelector, log });
  }

  /** Sorted; undefined before the first list, and where there is none: one that listens there has answered. */
  get known(): APIServer[] | undefined {
    const found = this.informer.list().flatMap(listening);
    return found.length === 0
      ? undefined
      : found.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port));
  }
}

const listening = ({ endpoints, ports }: EndpointSlice): APIServer[] =>
  (endpoints ?? []).flatMap(({ addresses }) =>
    addresses.flatMap((address) =>
      (ports ?? []).flatMap(({ port }) => (port === undefined ? [] : [{ address, port }])),
    ),
  );

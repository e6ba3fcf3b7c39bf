import type { APIServer } from '../dataplane/snapshot.ts';
import type { Client } from '../kube/client.ts';
import { Informer } from '../kube/informer.ts';
import { endpointSlices, type EndpointSlice } from '../kube/resources.ts';
import type { Log } from '../log.ts';

/**
 * The addresses at which API servers listen. Each API server enters itself in the EndpointSlice `kubernetes` of the
 * namespace `default`. The data path depends on it only for `isolation.allowAPIServer`.
 */
export class APIServers {
  readonly informer: Informer<EndpointSlice>;

  constructor(client: Client, log: Log) {
    const fieldSelector = 'metadata.name=kubernetes';
    this.informer = new Informer(client, endpointSlices('default'), { fieldSelector, log });
  }

  /**
   * Sorted addresses; undefined before the first list and where there is no entry, because an API server that listens
   * there has answered.
   */
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

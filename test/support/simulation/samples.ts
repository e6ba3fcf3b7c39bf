import {
  apiVersion,
  type AgentAllocation,
  type AllocationLedger,
  type KubeObject,
  type LedgerBlock,
  type LedgerIndex,
  type LedgerPage,
} from '../../../src/api/types.ts';
import { ApiError, type Client } from '../../../src/kube/client.ts';
import { agentAllocations, allocationLedgers, type Resource } from '../../../src/kube/resources.ts';

export const stamped = <T extends KubeObject>({ kind }: Resource<T>, object: object): T =>
  ({ apiVersion, kind, ...object }) as unknown as T;

export const allocation = (name: string, spec: Partial<AgentAllocation['spec']> = {}) =>
  stamped<AgentAllocation>(agentAllocations, {
    metadata: { name },
    spec: { revision: 1, nodeUID: 'u', addresses: ['172.17.0.2'], ...spec },
  });
export const page = (name: string, spec: Partial<LedgerPage> = {}) =>
  stamped<AllocationLedger>(allocationLedgers, {
    metadata: { name },
    spec: { page: { space: '9.0.0.0/16', first: 0, blocks: [], ...spec } },
  });
export const spaces = (spec: Partial<LedgerIndex> = {}) =>
  stamped<AllocationLedger>(allocationLedgers, {
    metadata: { name: 'spaces' },
    spec: { index: { nextPage: 0, spaces: [], ...spec } },
  });
export const held = (index: number): LedgerBlock => ({
  index,
  node: 'n1',
  uid: 'u',
  state: 'Held',
  since: '2026-01-01T00:00:00Z',
});
export const networks = [{ name: 'dcos', subnets: [{ cidr: '9.0.0.0/24' }] }];

/** Returns the first events after a version, as `TYPE name`, with their versions. */
export async function eventsAfter(
  client: Client,
  resource: Resource<KubeObject>,
  resourceVersion: string,
  count: number,
): Promise<{ text: string; version: number }[]> {
  const stop = new AbortController();
  const seen: { text: string; version: number }[] = [];
  for await (const { type, object } of client.watch(resource, { resourceVersion, signal: stop.signal })) {
    if (type === 'BOOKMARK') continue;
    seen.push({ text: `${type} ${object.metadata.name}`, version: Number(object.metadata.resourceVersion) });
    if (seen.length === count) break;
  }
  stop.abort();
  return seen;
}

/** Returns status and reason of the ApiError with which the call fails. */
export const refusal = async (call: Promise<unknown>): Promise<[number, string]> => {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApiError)) throw new Error(`no ApiError: ${String(error)}`);
  return [error.status, error.reason];
};

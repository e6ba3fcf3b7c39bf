import {
  apiVersion,
  type AgentAllocationSpec,
  type OverlayAgent,
  type OverlayAgentSpec,
} from '../api/types.ts';
import type { Client } from '../kube/client.ts';
import { overlayAgents } from '../kube/resources.ts';

/** What this node's agent says of itself. */
export function registrationOf(own: {
  addresses: string[];
  uplinkMTU: number;
  /** What the node holds by its last allocation. */
  held: AgentAllocationSpec | undefined;
  /** Blocks that Docker's networks still lie in, whatever the allocation says. */
  docker: Blocks;
  seenResourceVersion: string | undefined;
}): OverlayAgentSpec {
  const { addresses, uplinkMTU, held, docker, seenResourceVersion } = own;
  const networks = withBlocks(
    (held?.networks ?? []).map(({ name, subnets }) => ({ name, subnets: subnets.map(({ cidr }) => cidr) })),
    docker,
  );
  return {
    addresses,
    uplinkMTU,
    ...(held?.vtep === undefined ? {} : { vtep: held.vtep }),
    ...(networks.length === 0 ? {} : { networks }),
    ...(seenResourceVersion === undefined ? {} : { seenResourceVersion }),
  };
}

type Blocks = NonNullable<OverlayAgentSpec['networks']>;

/** A block that was withdrawn is not given back while Docker's containers may have addresses of it. */
function withBlocks(held: Blocks, docker: Blocks): Blocks {
  const all = new Map(held.map(({ name, subnets }) => [name, new Set(subnets)]));
  for (const { name, subnets } of docker) all.set(name, new Set([...(all.get(name) ?? []), ...subnets]));
  return [...all]
    .map(([name, subnets]) => ({ name, subnets: [...subnets] }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * The highest resourceVersion ever seen, and whether the caches now hold only lower ones: an etcd brought back from a
 * backup counts from there again.
 */
export class SeenVersion {
  #highest: bigint | undefined;

  constructor(checkpointed: string | undefined) {
    this.#highest =
      checkpointed !== undefined && /^[0-9]+$/.test(checkpointed) ? BigInt(checkpointed) : undefined;
  }

  /** @param current the highest that the caches hold */
  observe(current: bigint | undefined): { highest: string | undefined; wentBack: boolean } {
    const wentBack = current !== undefined && this.#highest !== undefined && current < this.#highest;
    if (current !== undefined && (this.#highest === undefined || current > this.#highest))
      this.#highest = current;
    return { highest: this.#highest?.toString(), wentBack };
  }
}

/**
 * Creates or updates the node's OverlayAgent; no request where it already says so. A version seen is said at
 * creation, with another change, and when the API server's lists went back: by itself it is no reason to write.
 * @returns the object as the API server stored it, undefined where nothing was written
 * @throws ApiError
 */
export async function register(
  client: Client,
  node: string,
  spec: OverlayAgentSpec,
  current: OverlayAgent | undefined,
  wentBack: boolean,
): Promise<OverlayAgent | undefined> {
  if (current === undefined) {
    const created: OverlayAgent = { apiVersion, kind: overlayAgents.kind, metadata: { name: node }, spec };
    return client.create(overlayAgents, created);
  }
  if (sameRegistration(current.spec, spec, wentBack)) return undefined;
  return client.update(overlayAgents, { ...current, spec });
}

function sameRegistration(a: OverlayAgentSpec, b: OverlayAgentSpec, versionToo: boolean): boolean {
  const text = ({ addresses, uplinkMTU, vtep, networks, seenResourceVersion }: OverlayAgentSpec) =>
    JSON.stringify([
      addresses,
      uplinkMTU,
      [vtep?.ip, vtep?.ip6, vtep?.mac],
      networks?.map(({ name, subnets }) => [name, subnets]) ?? [],
      versionToo ? seenResourceVersion : undefined,
    ]);
  return text(a) === text(b);
}

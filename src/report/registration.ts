import {
  apiVersion,
  type AgentAllocationSpec,
  type OverlayAgent,
  type OverlayAgentSpec,
} from '../api/types.ts';
import type { Client } from '../kube/client.ts';
import { overlayAgents } from '../kube/resources.ts';
import { type Blocks } from '../dataplane/snapshot.ts';

/** What this node's agent reports about itself. */
export function registrationOf(own: {
  addresses: string[];
  uplinkMTU: number;
  /** What the node holds by its last allocation. */
  held: AgentAllocationSpec | undefined;
  /** Blocks that Docker's networks still use, even if the allocation no longer shows them. */
  docker: Blocks;
  seenResourceVersion: string | undefined;
  /** The id of the restore that this report answers; undefined if the operator reports no restore. */
  restore?: string | undefined;
  /** The node's ranges besides overlaynet's own. */
  ranges?: Pick<OverlayAgentSpec, 'ranges' | 'rangesLeftOut' | 'furtherAddresses'>;
}): OverlayAgentSpec {
  const { addresses, uplinkMTU, held, docker, seenResourceVersion, restore, ranges } = own;
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
    ...(restore === undefined ? {} : { restore }),
    ...ranges,
  };
}

/**
 * Adds blocks that were withdrawn but are not given back yet, because Docker's containers may have their addresses.
 */
function withBlocks(held: Blocks, docker: Blocks): Blocks {
  const all = new Map(held.map(({ name, subnets }) => [name, new Set(subnets)]));
  for (const { name, subnets } of docker) all.set(name, new Set([...(all.get(name) ?? []), ...subnets]));
  return [...all]
    .map(([name, subnets]) => ({ name, subnets: [...subnets] }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * The highest resourceVersion ever seen, and whether a kind's version went back; an etcd restored from a backup
 * counts from there again. Each kind is compared with itself, because kinds are listed one after the other. Once a
 * version went back, the highest stays as it was until `accept`, however far the API server counts.
 */
export class SeenVersion {
  readonly #checkpointed: bigint | undefined;
  readonly #kinds = new Map<string, bigint>();
  #highest: bigint | undefined;
  #wentBack = false;

  /** What an earlier agent of this node saw, by its checkpoint. */
  get before(): bigint | undefined {
    return this.#checkpointed;
  }

  constructor(checkpointed: string | undefined) {
    this.#checkpointed =
      checkpointed !== undefined && /^[0-9]+$/.test(checkpointed) ? BigInt(checkpointed) : undefined;
    this.#highest = this.#checkpointed;
  }

  /**
   * @param versions by kind: the version up to which everything was seen. A first list is never older than what was
   * seen before it
   */
  observe(versions: ReadonlyMap<string, bigint>): { highest: string | undefined; wentBack: boolean } {
    for (const [kind, version] of versions) {
      const before = this.#kinds.get(kind) ?? this.#checkpointed;
      if (before !== undefined && version < before) this.#wentBack = true;
      this.#kinds.set(kind, version);
    }
    if (!this.#wentBack) this.#highest = highestOf([...this.#kinds.values()], this.#highest);
    return { highest: this.#highest?.toString(), wentBack: this.#wentBack };
  }

  /**
   * Notes that objects show a restore that versions do not: the API server's data went back, and its count has passed
   * what was seen.
   */
  distrust(): void {
    this.#wentBack = true;
  }

  /** Accepts the API server's present data, and counts from there. */
  accept(): void {
    this.#wentBack = false;
    this.#highest = highestOf([...this.#kinds.values()], undefined);
  }
}

const highestOf = (versions: readonly bigint[], first: bigint | undefined): bigint | undefined =>
  versions.reduce<bigint | undefined>((a, b) => (a === undefined || b > a ? b : a), first);

/**
 * Creates or updates the node's OverlayAgent. Sends nothing if the content is stored already.
 * A seen version is reported at creation, together with another change, and when the API server's lists went back. By itself
 * it causes no write, and the end of a restore causes none.
 * @returns the object as the API server stored it, undefined if nothing was written
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
  const text = ({
    addresses,
    uplinkMTU,
    vtep,
    networks,
    seenResourceVersion,
    restore,
    ...own
  }: OverlayAgentSpec) =>
    JSON.stringify([
      addresses,
      uplinkMTU,
      own.ranges?.map(({ cidr, kind, link }) => [cidr, kind, link]) ?? [],
      own.rangesLeftOut,
      own.furtherAddresses ?? [],
      [vtep?.ip, vtep?.ip6, vtep?.mac],
      networks?.map(({ name, subnets }) => [name, subnets]) ?? [],
      versionToo ? seenResourceVersion : undefined,
      // an answer to a finished restore is no reason to write
      b.restore === undefined ? undefined : restore,
    ]);
  return text(a) === text(b);
}

import {
  apiVersion,
  type AgentAllocationSpec,
  type OverlayAgent,
  type OverlayAgentSpec,
} from '../api/types.ts';
import type { Client } from '../kube/client.ts';
import { overlayAgents } from '../kube/resources.ts';
import { type Blocks } from '../dataplane/snapshot.ts';

/** What this node's agent says of itself. */
export function registrationOf(own: {
  addresses: string[];
  uplinkMTU: number;
  /** What the node holds by its last allocation. */
  held: AgentAllocationSpec | undefined;
  /** Blocks that Docker's networks still lie in, whatever the allocation says. */
  docker: Blocks;
  seenResourceVersion: string | undefined;
  /** The id of the restore that it answers; undefined: there is none. */
  restore?: string | undefined;
  /** What the node has beside overlaynet's own. */
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

/** A block that was withdrawn is not given back while Docker's containers may have addresses of it. */
function withBlocks(held: Blocks, docker: Blocks): Blocks {
  const all = new Map(held.map(({ name, subnets }) => [name, new Set(subnets)]));
  for (const { name, subnets } of docker) all.set(name, new Set([...(all.get(name) ?? []), ...subnets]));
  return [...all]
    .map(([name, subnets]) => ({ name, subnets: [...subnets] }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * The highest resourceVersion ever seen, and whether a kind's went back: an etcd brought back from a backup counts from
 * there again. Each kind is compared with itself, since they are listed one after the other. Once one went back, the
 * highest stays what it was, however far the API server has counted since, until `accept`.
 */
export class SeenVersion {
  readonly #checkpointed: bigint | undefined;
  readonly #kinds = new Map<string, bigint>();
  #highest: bigint | undefined;
  #wentBack = false;

  constructor(checkpointed: string | undefined) {
    this.#checkpointed =
      checkpointed !== undefined && /^[0-9]+$/.test(checkpointed) ? BigInt(checkpointed) : undefined;
    this.#highest = this.#checkpointed;
  }

  /** @param versions by kind, up to which all has been seen. A first list is never older than what was seen before it. */
  observe(versions: ReadonlyMap<string, bigint>): { highest: string | undefined; wentBack: boolean } {
    for (const [kind, version] of versions) {
      const before = this.#kinds.get(kind) ?? this.#checkpointed;
      if (before !== undefined && version < before) this.#wentBack = true;
      this.#kinds.set(kind, version);
    }
    if (!this.#wentBack) this.#highest = highestOf([...this.#kinds.values()], this.#highest);
    return { highest: this.#highest?.toString(), wentBack: this.#wentBack };
  }

  /** Objects show what versions do not: the API server's data went back, and has been counted past what was seen. */
  distrust(): void {
    this.#wentBack = true;
  }

  /** What the API server has now is believed: it is counted from there. */
  accept(): void {
    this.#wentBack = false;
    this.#highest = highestOf([...this.#kinds.values()], undefined);
  }
}

const highestOf = (versions: readonly bigint[], first: bigint | undefined): bigint | undefined =>
  versions.reduce<bigint | undefined>((a, b) => (a === undefined || b > a ? b : a), first);

/**
 * Creates or updates the node's OverlayAgent; no request where it already says so. A version seen is said at
 * creation, with another change, and when the API server's lists went back: by itself it is no reason to write. The
 * same holds for the end of a restore.
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
      // an answer to a restore that is over is no reason to write
      b.restore === undefined ? undefined : restore,
    ]);
  return text(a) === text(b);
}

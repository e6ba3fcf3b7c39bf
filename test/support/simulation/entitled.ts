import type { AllocationLedger, OverlayNetwork } from '../../../src/api/types.ts';
import { selects } from '../../../src/api/selector.ts';
import type { Claim } from './claims.ts';
import type { Commit, MemoryServer } from './server.ts';
import { Violation } from './violation.ts';

/**
 * Records since which revision a Node, a network's entry, and a node's right to a block of it have existed. If an
 * operator takes something away, the right to it must have been missing at some moment of that run. Otherwise the
 * operator relied on a cache that was old when the run began.
 */
export class Entitled {
  readonly #server: MemoryServer;
  readonly #runningSince: (actor: string) => number | undefined;
  #since = new Map<string, number>();

  constructor(server: MemoryServer, runningSince: (actor: string) => number | undefined) {
    this.#server = server;
    this.#runningSince = runningSince;
  }

  check(commit: Commit, before: ReadonlyMap<string, Claim>): void {
    const { plural, type, name, actor } = commit;
    if (plural === 'nodes' || plural === 'overlaynetworks') {
      this.#follow(commit.revision);
      return;
    }
    const since = this.#runningSince(actor);
    if (since === undefined) return;
    const rightful = (key: string) => (this.#since.get(key) ?? Infinity) <= since;
    const deletes = plural === 'agentallocations' || plural === 'overlayagents';
    if (deletes && type === 'DELETED' && rightful(`node ${name}`)) {
      throw new Violation('stale', `${actor} deletes ${plural}/${name}, whose Node is there`, [commit.old]);
    }
    if (plural === 'allocationledgers') this.#ledger(commit, before, rightful);
  }

  #ledger(
    { name, object, old, actor }: Commit,
    before: ReadonlyMap<string, Claim>,
    rightful: (key: string) => boolean,
  ): void {
    const [next, was] = [object, old].map((one) => (one as unknown as AllocationLedger | undefined)?.spec);
    for (const { cidr, prefix, network } of next?.index?.spaces.filter((s) => s.retiredAt !== undefined) ??
      []) {
      const fresh = was?.index?.spaces.some((s) => s.cidr === cidr && s.retiredAt === undefined) === true;
      if (fresh && rightful(`entry ${network} ${cidr} ${prefix}`)) {
        throw new Violation('stale', `${actor} retires ${cidr} of network ${network}, which is there`, [
          next,
        ]);
      }
    }
    for (const entry of was?.page?.blocks ?? []) {
      if (entry.state !== 'Held') continue;
      const now = next?.page?.blocks.find(({ index }) => index === entry.index);
      if (now?.state === 'Held' && now.node === entry.node) continue;
      const space = [...before.values()].find(({ space: { cidr } }) => cidr === was?.page?.space)?.space;
      if (space === undefined) continue;
      const twice = [...before.values()].filter((c) => c.node === entry.node && c.space.cidr === space.cidr);
      const key =
        space.cidr === 'vtep'
          ? `node ${entry.node}`
          : `block ${entry.node} ${space.network} ${space.cidr} ${space.prefix}`;
      if (twice.length === 1 && rightful(key)) {
        throw new Violation(
          'stale',
          `${actor} takes ${name}/${entry.index} from ${entry.node}, which may have it`,
          [old, object],
        );
      }
    }
  }

  #follow(revision: number): void {
    const since = new Map<string, number>();
    const keep = (key: string) => since.set(key, this.#since.get(key) ?? revision);
    const nodes = this.#server.list('nodes');
    for (const { metadata } of nodes) keep(`node ${metadata.name}`);
    for (const { metadata, spec } of this.#server.list('overlaynetworks') as unknown as OverlayNetwork[]) {
      for (const { cidr, prefix } of spec.subnets) {
        keep(`entry ${metadata.name} ${cidr} ${prefix}`);
        if (!spec.enabled) continue;
        for (const node of nodes) {
          if (selects(spec.nodeSelector, node.metadata.labels ?? {})) {
            keep(`block ${node.metadata.name} ${metadata.name} ${cidr} ${prefix}`);
          }
        }
      }
    }
    this.#since = since;
  }
}

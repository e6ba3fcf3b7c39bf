import { clashes, confirmCommand, isConfirmed, rangeWords } from '../api/ranges.ts';
import type { HostRange, OverlayAgentSpec } from '../api/types.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import type { HostSpace } from '../linux/ranges.ts';
import { parseAddress, type Address } from '../net/address.ts';
import { cidrOf, formatCidr, parseCidr, type Cidr } from '../net/cidr.ts';
import type { Problem } from './problem.ts';
import { messageOf } from '../error.ts';

/** The most ranges that the OverlayAgent's CRD allows. */
const most = { ranges: 64, addresses: 32 };

/**
 * Delay after a registration with changed ranges before the next one, doubled while changes go on: routes of 5,000
 * nodes may appear and vanish together.
 */
const rest = { firstMs: 60_000, mostMs: 960_000 };

type RegisteredRanges = Pick<OverlayAgentSpec, 'ranges' | 'rangesLeftOut' | 'furtherAddresses'>;

/** The node's ranges besides overlaynet's own. `look` reads them, and the registration reports them. */
export class OwnRanges {
  readonly #read: () => Promise<HostSpace>;
  readonly #registered: readonly string[];
  readonly #pools: () => readonly string[];
  readonly #now: () => number;
  #space: HostSpace | undefined;
  #problem: string | undefined;
  /** Result for the last reading, because a table of routes may be long. */
  #merged: { pools: string; ranges: HostRange[] } | undefined;
  #registeredRanges: RegisteredRanges | undefined;
  #registeredAt = -Infinity;
  #restMs = 0;

  /**
   * @param options.addresses addresses that the node registers
   * @param options.pools pools from which Docker may take networks
   */
  constructor(options: {
    read: () => Promise<HostSpace>;
    addresses: readonly string[];
    pools?: () => readonly string[];
    now?: () => number;
  }) {
    this.#read = options.read;
    this.#registered = options.addresses;
    this.#pools = options.pools ?? (() => []);
    this.#now = options.now ?? (() => performance.now());
  }

  /**
   * Reads the ranges again; after a failure the previous ones stay.
   * @throws Error if they were never read
   */
  async look(): Promise<void> {
    try {
      this.#space = await this.#read();
      this.#merged = undefined;
      this.#problem = undefined;
    } catch (error) {
      if (this.#space === undefined) throw error;
      this.#problem = messageOf(error);
    }
  }

  /**
   * The ranges to register: at first as they are, later changes with a delay.
   * @throws Error if they cannot be read
   */
  async toRegister(): Promise<RegisteredRanges> {
    if (this.#space === undefined) await this.look();
    const next = this.#next;
    if (
      this.#registeredRanges !== undefined &&
      JSON.stringify(next) === JSON.stringify(this.#registeredRanges)
    )
      return this.#registeredRanges;
    const sinceMs = this.#now() - this.#registeredAt;
    if (this.#registeredRanges !== undefined && sinceMs < this.#restMs) return this.#registeredRanges;
    this.#restMs = sinceMs < 2 * this.#restMs ? Math.min(2 * this.#restMs, rest.mostMs) : rest.firstMs;
    this.#registeredRanges = next;
    this.#registeredAt = this.#now();
    return next;
  }

  /** Overlays in force that hide addresses from this node, and whether that can be determined. */
  problems(snapshot: Snapshot | undefined): Problem[] {
    const unread: Problem[] =
      this.#problem === undefined
        ? []
        : [{ reason: 'RangesUnread', message: `the node's own subnets and routes: ${this.#problem}` }];
    return [...(snapshot === undefined ? [] : overlapsOf(snapshot, this.#ranges)), ...unread];
  }

  get #ranges(): HostRange[] {
    const pools = this.#pools();
    if (this.#merged?.pools !== pools.join()) {
      const ranges = pools.map((cidr): HostRange => ({ cidr, kind: 'Pool' }));
      this.#merged = { pools: pools.join(), ranges: merged([...(this.#space?.ranges ?? []), ...ranges]) };
    }
    return this.#merged.ranges;
  }

  get #next(): RegisteredRanges {
    const all = this.#ranges;
    const ranges = all.slice(0, most.ranges);
    const others = (this.#space?.addresses ?? []).filter((text) => !this.#registered.includes(text));
    const addresses = [...new Set(others)].sort(byValue).slice(0, most.addresses);
    return {
      ...(ranges.length === 0 ? {} : { ranges }),
      ...(all.length > ranges.length ? { rangesLeftOut: all.length - ranges.length } : {}),
      ...(addresses.length === 0 ? {} : { furtherAddresses: addresses }),
    };
  }
}

const order = ['Subnet', 'Pool', 'Route'] as const;

/**
 * Reduces ranges to as few as have the same effect, in a stable order: links, pools, then routes, wide before narrow.
 * A range within a link's subnet or a pool is dropped, because every overlay that it clashes with clashes with that,
 * too. A route within a wider one stays, because a wider route forbids less.
 */
export function merged(ranges: readonly HostRange[]): HostRange[] {
  const sorted = ranges
    .map((range) => ({ range, cidr: parseCidr(range.cidr) }))
    .sort(
      (a, b) =>
        order.indexOf(a.range.kind) - order.indexOf(b.range.kind) ||
        a.cidr.family - b.cidr.family ||
        a.cidr.length - b.cidr.length ||
        Number(a.cidr.base > b.cidr.base) - Number(a.cidr.base < b.cidr.base) ||
        ((a.range.link ?? '') < (b.range.link ?? '') ? -1 : 1),
    );
  const covers = new Map<number, Set<string>>();
  const routes = new Set<string>();
  const kept: HostRange[] = [];
  for (const { range, cidr } of sorted) {
    const covered = [...covers].some(
      ([length, texts]) => length <= cidr.length && texts.has(formatCidr(cidrOf(addressOf(cidr), length))),
    );
    if (covered || routes.has(range.cidr)) continue;
    kept.push(range);
    if (range.kind === 'Route') routes.add(range.cidr);
    else covers.set(cidr.length, (covers.get(cidr.length) ?? new Set()).add(range.cidr));
  }
  return kept;
}

const addressOf = ({ family, base }: Cidr): Address => ({ family, value: base });

/** One problem for each overlay and range, so that the reader knows what to change. */
function overlapsOf(
  { config, configMetadata = {}, networks }: Snapshot,
  merged: readonly HostRange[],
): Problem[] {
  const ranges = merged.map((range) => ({ range, cidr: parseCidr(range.cidr) }));
  const subnets = [
    ...config.vtepSubnets.map((cidr) => ({
      cidr,
      owner: 'the VTEP subnets',
      object: 'overlayconfig default',
      metadata: configMetadata,
    })),
    ...networks.flatMap(({ metadata, spec }) =>
      spec.subnets.map(({ cidr }) => ({
        cidr,
        owner: `network ${metadata.name}`,
        object: `overlaynetwork ${metadata.name}`,
        metadata,
      })),
    ),
  ].filter(({ cidr, metadata }) => !isConfirmed(metadata, cidr));
  return subnets.flatMap(({ cidr: text, owner, object, metadata }) => {
    const subnet = parseCidr(text);
    return ranges
      .filter(({ range, cidr }) => clashes(subnet, cidr, range.kind))
      .map(({ range }) => ({
        reason: 'Overlap',
        message:
          `${rangeWords(range, 'this node')}, overlaps ${text} of ${owner}: addresses in both are reached by the overlay ` +
          `and not by ${range.link ?? "Docker's bridges"}; change the one or the other; if it is meant so: ${confirmCommand(object, metadata, text)}`,
      }));
  });
}

const byValue = (a: string, b: string): number => {
  const [one, other] = [parseAddress(a), parseAddress(b)];
  return one.family - other.family || (one.value < other.value ? -1 : 1);
};

import { clashes, confirmCommand, isConfirmed, rangeWords } from '../api/ranges.ts';
import type { HostRange, OverlayAgentSpec } from '../api/types.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import type { HostSpace } from '../linux/ranges.ts';
import { parseAddress, type Address } from '../net/address.ts';
import { cidrOf, formatCidr, parseCidr, type Cidr } from '../net/cidr.ts';
import type { Problem } from './problem.ts';

/** What the OverlayAgent's CRD allows. */
const most = { ranges: 64, addresses: 32 };

/**
 * After a registration with other ranges than before, the next waits so long, twice as long each time while it goes on:
 * routes of 5,000 nodes may come and go together.
 */
const rest = { firstMs: 60_000, mostMs: 960_000 };

type Said = Pick<OverlayAgentSpec, 'ranges' | 'rangesLeftOut' | 'furtherAddresses'>;

/** What this node has beside overlaynet's own: read by `look`, and said in the registration. */
export class OwnRanges {
  readonly #read: () => Promise<HostSpace>;
  readonly #registered: readonly string[];
  readonly #pools: () => readonly string[];
  readonly #now: () => number;
  #space: HostSpace | undefined;
  #problem: string | undefined;
  /** Of the last reading: a table of routes may be long. */
  #merged: { pools: string; ranges: HostRange[] } | undefined;
  #said: Said | undefined;
  #saidAt = -Infinity;
  #restMs = 0;

  /**
   * @param options.addresses that the node registers
   * @param options.pools from which Docker may take networks
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

  /** Reads them anew; where that fails, what was read before stays. @throws Error where nothing was ever read */
  async look(): Promise<void> {
    try {
      this.#space = await this.#read();
      this.#merged = undefined;
      this.#problem = undefined;
    } catch (error) {
      if (this.#space === undefined) throw error;
      this.#problem = (error as Error).message;
    }
  }

  /** For the registration: at first as it is, later changes at a pace. @throws Error where it cannot be read */
  async said(): Promise<Said> {
    if (this.#space === undefined) await this.look();
    const next = this.#next;
    if (this.#said !== undefined && JSON.stringify(next) === JSON.stringify(this.#said)) return this.#said;
    const sinceMs = this.#now() - this.#saidAt;
    if (this.#said !== undefined && sinceMs < this.#restMs) return this.#said;
    this.#restMs = sinceMs < 2 * this.#restMs ? Math.min(2 * this.#restMs, rest.mostMs) : rest.firstMs;
    this.#said = next;
    this.#saidAt = this.#now();
    return next;
  }

  /** Overlays in force that take addresses away from this node, and whether that can be told. */
  problems(snapshot: Snapshot | undefined): Problem[] {
    const unread =
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

  get #next(): Said {
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
 * As few as say the same, in a stable order: of links, pools, then routes, wide before narrow. What lies in a subnet of
 * a link, or in a pool, goes: each overlay that it clashes with clashes with that, too. A route in a wider one stays: a
 * wider one forbids less.
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

/** One problem an overlay and range: who reads it knows what to change. */
function overlapsOf(
  { config, configMetadata = {}, networks }: Snapshot,
  merged: readonly HostRange[],
): Problem[] {
  const ranges = merged.map((range) => ({ range, cidr: parseCidr(range.cidr) }));
  const subnets = [
    ...config.vtepSubnets.map((cidr) => ({
      cidr,
      whose: 'the VTEP subnets',
      object: 'overlayconfig default',
      metadata: configMetadata,
    })),
    ...networks.flatMap(({ metadata, spec }) =>
      spec.subnets.map(({ cidr }) => ({
        cidr,
        whose: `network ${metadata.name}`,
        object: `overlaynetwork ${metadata.name}`,
        metadata,
      })),
    ),
  ].filter(({ cidr, metadata }) => !isConfirmed(metadata, cidr));
  return subnets.flatMap(({ cidr: text, whose, object, metadata }) => {
    const subnet = parseCidr(text);
    return ranges
      .filter(({ range, cidr }) => clashes(subnet, cidr, range.kind))
      .map(({ range }) => ({
        reason: 'Overlap',
        message:
          `${rangeWords(range, 'this node')}, overlaps ${text} of ${whose}: addresses in both are reached by the overlay ` +
          `and not by ${range.link ?? "Docker's bridges"}; change the one or the other; if it is meant so: ${confirmCommand(object, metadata, text)}`,
      }));
  });
}

const byValue = (a: string, b: string): number => {
  const [one, other] = [parseAddress(a), parseAddress(b)];
  return one.family - other.family || (one.value < other.value ? -1 : 1);
};

import type { AgentAllocationSpec, AllocatedNetwork } from '../api/types.ts';
import { overlaps, parseCidr } from '../net/cidr.ts';
import { familyOf, withoutLength } from '../net/address.ts';

/**
 * The blocks, VTEPs and underlay addresses of a set of allocations. Canonical texts are compared, because parsing the blocks
 * of 5,000 nodes would take a second. Networks in force do not overlap, so blocks of different lengths can only meet within
 * one network.
 */
export class Claims {
  readonly #addresses = new Set<string>();
  readonly #endpoints = new Set<string>();
  readonly #blocks = new Set<string>();
  /** Blocks by network and length. */
  readonly #lengths = new Map<string, Map<string, string[]>>();

  /** @param counts whether blocks of that network count */
  constructor(specs: Iterable<AgentAllocationSpec>, counts: (network: string) => boolean = () => true) {
    for (const spec of specs) {
      for (const address of spec.addresses) this.#addresses.add(address);
      for (const endpoint of endpoints(spec)) this.#endpoints.add(endpoint);
      for (const { name, subnets } of spec.networks ?? []) {
        if (counts(name)) for (const { cidr } of subnets) this.#add(name, cidr);
      }
    }
  }

  /**
   * Whether an allocation in this set has the VTEP or an underlay address of that node. Packets would then reach only one of
   * the two.
   */
  standFor(spec: Pick<AgentAllocationSpec, 'addresses' | 'vtep'>): boolean {
    const { addresses, vtep } = spec;
    return (
      addresses.some((address) => this.#addresses.has(address)) ||
      (vtep !== undefined &&
        (this.#endpoints.has(vtep.mac) ||
          (vtep.ip !== undefined && this.#endpoints.has(withoutLength(vtep.ip))) ||
          (vtep.ip6 !== undefined && this.#endpoints.has(withoutLength(vtep.ip6)))))
    );
  }

  /** Whether a block of a network overlaps a block in this set. */
  overlap(network: string, cidr: string): boolean {
    if (this.#blocks.has(cidr)) return true;
    const lengths = this.#lengths.get(network);
    if (lengths === undefined) return false;
    const own = lengthOf(cidr);
    for (const [length, others] of lengths) {
      if (length === own || length.charAt(0) !== own.charAt(0)) continue;
      if (others.some((other) => overlaps(parseCidr(other), parseCidr(cidr)))) return true;
    }
    return false;
  }

  /** Whether any part of an allocation is in this set. */
  meet(spec: AgentAllocationSpec): boolean {
    return (
      this.standFor(spec) ||
      (spec.networks ?? []).some(({ name, subnets }) => subnets.some(({ cidr }) => this.overlap(name, cidr)))
    );
  }

  /** The networks without the blocks that overlap this set. */
  spare(networks: readonly AllocatedNetwork[]): AllocatedNetwork[] {
    return networks
      .map(({ name, subnets }) => ({
        name,
        subnets: subnets.filter(({ cidr }) => !this.overlap(name, cidr)),
      }))
      .filter(({ subnets }) => subnets.length > 0);
  }

  #add(network: string, cidr: string): void {
    this.#blocks.add(cidr);
    const lengths = this.#lengths.get(network) ?? new Map<string, string[]>();
    this.#lengths.set(network, lengths);
    const length = lengthOf(cidr);
    const same = lengths.get(length);
    if (same === undefined) lengths.set(length, [cidr]);
    else same.push(cidr);
  }
}

/** `6/80`: the family is part of the key, because blocks of different families never overlap. */
const lengthOf = (cidr: string): string => `${familyOf(cidr)}${cidr.slice(cidr.indexOf('/'))}`;

/** The VTEP's addresses without the subnet's length, which may have grown. */
const endpoints = ({ vtep }: Pick<AgentAllocationSpec, 'vtep'>): string[] =>
  vtep === undefined ? [] : [vtep.mac, ...[vtep.ip ?? [], vtep.ip6 ?? []].flat().map(withoutLength)];

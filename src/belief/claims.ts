import type { AgentAllocationSpec, AllocatedNetwork } from '../api/types.ts';
import { overlaps, parseCidr } from '../net/cidr.ts';
import { familyOf, withoutLength } from '../net/address.ts';

/**
 * What a set of allocations takes: blocks, VTEPs and underlay addresses. Texts are compared, which are canonical:
 * 5,000 nodes' blocks would take a second to parse. Networks in force do not overlap, so that blocks of different
 * lengths can only meet within one network.
 */
export class Claims {
  readonly #addresses = new Set<string>();
  readonly #endpoints = new Set<string>();
  readonly #blocks = new Set<string>();
  /** By network and length. */
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

  /** Whether one of these has the VTEP or an underlay address of that node: packets then go to one of both alone. */
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

  /** Whether that block of that network overlaps one of these. */
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

  /** Whether anything of that allocation is among these. */
  meet(spec: AgentAllocationSpec): boolean {
    return (
      this.standFor(spec) ||
      (spec.networks ?? []).some(({ name, subnets }) => subnets.some(({ cidr }) => this.overlap(name, cidr)))
    );
  }

  /** The networks without the blocks that overlap these. */
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

/** `6/80`: blocks of both families never meet. */
const lengthOf = (cidr: string): string => `${familyOf(cidr)}${cidr.slice(cidr.indexOf('/'))}`;

/** Without the subnet's length, which may have grown. */
const endpoints = ({ vtep }: Pick<AgentAllocationSpec, 'vtep'>): string[] =>
  vtep === undefined ? [] : [vtep.mac, ...[vtep.ip ?? [], vtep.ip6 ?? []].flat().map(withoutLength)];

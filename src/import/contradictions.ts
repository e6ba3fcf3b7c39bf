import type { AgentAllocation, OverlayConfig, OverlayConfigSpec, OverlayReservation } from '../api/types.ts';
import { contains, parseCidr } from '../net/cidr.ts';
import type { Objects } from './objects.ts';
import type { ImportedReservation } from './reservations.ts';

/** The objects that the cluster already has. */
export interface Present {
  config: OverlayConfig | undefined;
  allocations: readonly AgentAllocation[];
  reservations: readonly OverlayReservation[];
}

/** Returns in words how the cluster contradicts an old cluster's state. Nodes keep what they already have. */
export function contradictions(
  wanted: readonly ImportedReservation[],
  objects: Objects,
  present: Present,
): string[] {
  const judge = new Judge(objects, present);
  return [...judge.config(), ...wanted.flatMap((one) => judge.reservation(one))];
}

class Judge {
  readonly #objects: Objects;
  readonly #present: Present;
  /** The node that has a VTEP, MAC or block. */
  readonly #holders: ReadonlyMap<string, string>;
  readonly #byNode: ReadonlyMap<string, AgentAllocation>;
  readonly #byAddress: ReadonlyMap<string, string>;
  readonly #byName: ReadonlyMap<string, OverlayReservation>;
  /** The reservation that asks for a VTEP, MAC or block. */
  readonly #reserved: ReadonlyMap<string, string>;

  constructor(objects: Objects, present: Present) {
    this.#objects = objects;
    this.#present = present;
    const { allocations, reservations } = present;
    const names = allocations.map(({ metadata }) => metadata.name);
    this.#byNode = new Map(allocations.map((one) => [one.metadata.name, one]));
    this.#holders = new Map(
      allocations.flatMap((one, at) => thingsHeld(one).map((thing) => [thing, names[at] ?? ''])),
    );
    this.#byAddress = new Map(
      allocations.flatMap(({ spec }, at) => spec.addresses.map((address) => [address, names[at] ?? ''])),
    );
    this.#byName = new Map(reservations.map((one) => [one.metadata.name, one]));
    this.#reserved = new Map(
      reservations.flatMap(({ metadata, spec }) => thingsOf(spec).map((thing) => [thing, metadata.name])),
    );
  }

  /** VTEP subnets and OUI cannot change as long as nodes have blocks. */
  config(): string[] {
    const { vtepSubnets, vtepMACOUI } = this.#objects.config.spec;
    const now = this.#present.config?.status?.effective;
    const isPinned = this.#present.allocations.some(({ spec }) => (spec.networks ?? []).length > 0);
    if (now === undefined || !isPinned) return [];
    const text = (one: Pick<OverlayConfigSpec, 'vtepSubnets' | 'vtepMACOUI'>) =>
      `${one.vtepSubnets.join(', ')} with OUI ${one.vtepMACOUI.toUpperCase()}`;
    const [is, was] = [text(now), text({ vtepSubnets, vtepMACOUI })];
    return is === was ? [] : [`nodes have VTEPs of ${is} and blocks already, and the state has ${was}`];
  }

  reservation({ metadata, spec }: ImportedReservation): string[] {
    const agent = `agent ${spec.address ?? ''}`;
    const node = spec.nodeName ?? this.#byAddress.get(spec.address ?? '');
    const wrong: string[] = [];
    for (const thing of thingsOf(spec)) {
      const holder = this.#holders.get(thing);
      if (holder !== undefined && holder !== node)
        wrong.push(`${thing} of ${agent} is held by node ${holder}`);
      const other = this.#reserved.get(thing);
      if (other !== undefined && other !== metadata.name)
        wrong.push(
          `${thing} of ${agent} is reserved by ${other}: kubectl delete overlayreservation ${other}`,
        );
    }
    const old = this.#byName.get(metadata.name);
    if (old !== undefined && !isSame(old.spec, spec))
      wrong.push(
        `reservation ${metadata.name} is there and asks for something else: kubectl delete overlayreservation ${metadata.name}`,
      );
    const own = this.#byNode.get(node ?? '');
    return own === undefined ? wrong : [...wrong, ...this.#another(own, spec, agent)];
  }

  /** Compares what the node has with what the agent had. */
  #another(
    { metadata: { name: node }, spec: { vtep: has, networks = [] } }: AgentAllocation,
    { vtep, networks: wanted = [] }: ImportedReservation['spec'],
    agent: string,
  ): string[] {
    const wrong: string[] = [];
    const text = ({ ip, ip6, mac }: NonNullable<typeof has>) => `${ip ?? ip6 ?? ''} (${mac})`;
    const differs = (key: 'ip' | 'ip6' | 'mac') => vtep?.[key] !== undefined && vtep[key] !== has?.[key];
    if (has !== undefined && vtep !== undefined && (differs('ip') || differs('ip6') || differs('mac')))
      wrong.push(`node ${node} has the VTEP ${text(has)} already, and ${agent} had ${text(vtep)}`);
    for (const { name, subnets } of wanted)
      for (const block of subnets) {
        const whole = this.#objects.networks
          .find(({ metadata }) => metadata.name === name)
          ?.spec.subnets.map(({ cidr }) => parseCidr(cidr))
          .find((one) => contains(one, parseCidr(block)));
        const other = networks
          .find((one) => one.name === name)
          ?.subnets.find(
            ({ cidr }) => cidr !== block && whole !== undefined && contains(whole, parseCidr(cidr)),
          );
        if (other !== undefined)
          wrong.push(`node ${node} has ${other.cidr} of network ${name} already, and ${agent} had ${block}`);
      }
    return wrong;
  }
}

const thingsHeld = ({ spec: { vtep, networks = [] } }: AgentAllocation): string[] =>
  thingsOf({
    ...(vtep === undefined ? {} : { vtep }),
    networks: networks.map(({ name, subnets }) => ({ name, subnets: subnets.map(({ cidr }) => cidr) })),
  });

const thingsOf = ({ vtep, networks = [] }: OverlayReservation['spec']): string[] =>
  [vtep?.ip, vtep?.ip6, vtep?.mac, ...networks.flatMap(({ subnets }) => subnets)].filter(
    (one) => one !== undefined,
  );

const isSame = (a: OverlayReservation['spec'], b: OverlayReservation['spec']): boolean =>
  words(a).join() === words(b).join();

const words = ({ vtep, networks = [] }: OverlayReservation['spec']): string[] => [
  vtep?.ip ?? '',
  vtep?.ip6 ?? '',
  vtep?.mac ?? '',
  ...networks.map(({ name, subnets }) => `${name} ${subnets.join(' ')}`).sort(),
];

import type { AgentAllocationSpec } from '../api/types.ts';
import { familyOf, type Family } from '../net/address.ts';
import { bare } from '../net/cidr.ts';
import type { APIServer, Snapshot } from './snapshot.ts';

/**
 * Which networks may open connections to which, as this node judges it. There are few isolated networks, and their
 * sets are small; both do not depend on the number of nodes.
 */
export interface Policy {
  /** Every overlay subnet, its network, and the length of a node's block in it. */
  subnets: { cidr: string; prefix: number; network: string }[];
  /** Isolated network → the networks that it talks with, itself included. */
  isolated: Map<string, Set<string>>;
  /** Isolated networks with `hosts: Deny`. */
  closed: Set<string>;
  /** Closed networks whose containers may still call the API server. */
  callers: Set<string>;
  /** This node's blocks. Its own processes and its containers always reach each other. */
  own: string[];
  apiServers: APIServer[];
  /** Every node's registered addresses and the VTEP subnets. */
  hosts: string[];
  /** Other addresses of other nodes. */
  further: string[];
}

/** The policy of a snapshot; undefined if no network is isolated, because then no rule and no set is needed. */
export function policyOf(snapshot: Snapshot, own: AgentAllocationSpec): Policy | undefined {
  const { networks, allocations, config, apiServers = [] } = snapshot;
  const isolated = networks.filter(({ spec }) => spec.isolation?.mode === 'Isolated');
  if (isolated.length === 0) return undefined;
  const closed = isolated.filter(({ spec }) => spec.isolation?.hosts === 'Deny');
  const hosts = new Set(allocations.flatMap(({ spec }) => spec.addresses));
  const further = new Set(
    closed.length === 0
      ? []
      : allocations.flatMap(({ node, spec }) =>
          node === snapshot.node ? [] : (spec.furtherAddresses ?? []),
        ),
  );
  const callers = closed.filter(({ spec }) => spec.isolation?.allowAPIServer === true);
  return {
    subnets: networks.flatMap(({ metadata, spec }) =>
      spec.subnets.map(({ cidr, prefix }) => ({ cidr, prefix, network: metadata.name })),
    ),
    isolated: new Map(
      isolated.map(({ metadata: { name }, spec }) => [
        name,
        new Set([name, ...(spec.isolation?.allow ?? [])]),
      ]),
    ),
    closed: names(closed),
    callers: names(callers),
    own: (own.networks ?? []).flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr)),
    apiServers,
    hosts: [...hosts, ...config.vtepSubnets],
    further: [...further].filter((address) => !hosts.has(address)).map(bare),
  };
}

const names = (networks: Snapshot['networks']): Set<string> =>
  new Set(networks.map(({ metadata }) => metadata.name));

/** Families in which packets are judged at all. */
export const judgedFamilies = (policy: Policy): Family[] =>
  ([4, 6] as const).filter((family) => subnetsOf(policy, policy.isolated, family).length > 0);

/** Subnets of these networks, in the spelling of ipset. */
export const subnetsOf = (
  { subnets }: Policy,
  of: { has(network: string): boolean },
  family: Family,
): string[] =>
  subnets
    .filter(({ network, cidr }) => of.has(network) && familyOf(cidr) === family)
    .map(({ cidr }) => bare(cidr));

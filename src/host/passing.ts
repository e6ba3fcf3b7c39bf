import { ownAllocation, type Snapshot } from '../dataplane/snapshot.ts';
import { uplink } from '../linux/verdict.ts';
import type { Passing } from '../linux/interference.ts';
import { addressAt, parseCidr } from '../net/cidr.ts';
import { familyNamed, familyOf, formatAddress } from '../net/address.ts';
import { cniBridge, dockerBridge, tunnelName } from '../net/name.ts';

/**
 * Packets that must pass a node's firewall unchanged: for each network here those from its bridges to other nodes and
 * back, and the tunnel's own. Packets to and from containers and the node's processes are left to the firewall's
 * owner.
 */
export function passingOn(snapshot: Snapshot): Passing[] {
  const own = ownAllocation(snapshot);
  if (own?.vtep === undefined) return [];
  const { vni, port, underlay } = snapshot.config;
  const tunnel = tunnelName(vni);
  const blocks = (own.networks ?? []).flatMap(({ name, subnets }) =>
    subnets.flatMap(({ bridges = {} }) => [
      ...(bridges.cni === undefined ? [] : [{ name, bridge: cniBridge(name), cidr: bridges.cni }]),
      ...(bridges.docker === undefined ? [] : [{ name, bridge: dockerBridge(name), cidr: bridges.docker }]),
    ]),
  );
  const forwarded = blocks.flatMap(({ name, bridge, cidr }) => {
    const here = addressIn(cidr);
    const there = elsewhere(snapshot, name, cidr) ?? here;
    const family = familyOf(cidr);
    const what = `${name} (IPv${family}, ${bridge}`;
    const out = { family, oif: tunnel, source: here, target: there, what: `${what} to ${tunnel})` };
    const back = { family, oif: bridge, source: there, target: here, what: `${what} from ${tunnel})` };
    return [
      { ...out, hook: 'forward' as const, iif: bridge },
      { ...back, hook: 'forward' as const, iif: tunnel },
      // older kernels do not show there by which link a packet came in
      { ...out, hook: 'postrouting' as const },
      { ...back, hook: 'postrouting' as const },
    ];
  });
  const outer = familyNamed(underlay);
  const to = own.addresses.find((address) => familyOf(address) === outer);
  const from = snapshot.allocations
    .filter(({ node }) => node !== snapshot.node)
    .flatMap(({ spec }) => spec.addresses)
    .find((address) => familyOf(address) === outer);
  if (to === undefined || from === undefined) return forwarded;
  const encapsulated: Passing = {
    hook: 'input',
    family: outer,
    iif: uplink,
    source: from,
    target: to,
    udpPort: port,
    what: `the tunnel (UDP port ${port})`,
  };
  return [...forwarded, encapsulated];
}

/** An address that a container may have. */
const addressIn = (cidr: string): string => formatAddress(addressAt(parseCidr(cidr), 2));

/** An address that a container of another node may have. */
function elsewhere({ node, allocations }: Snapshot, network: string, like: string): string | undefined {
  const block = allocations
    .filter((allocation) => allocation.node !== node)
    .flatMap(({ spec }) => spec.networks ?? [])
    .filter(({ name }) => name === network)
    .flatMap(({ subnets }) => subnets)
    .find(({ cidr }) => familyOf(cidr) === familyOf(like));
  return block && addressIn(block.cidr);
}

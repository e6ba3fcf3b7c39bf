import { Argument, Option, type Command } from 'commander';

/** Texts of the commands that compare the actual with the desired state: why, check, probe, trace. */
export const inspectTexts = {
  why: {
    name: 'why',
    summary: 'tell why a pod, a node or a network does not work',
    description:
      'Follows the chain of facts that a pod, a node or a network rests on, each with its evidence, and ends at the first that is wrong with what to do: annotation, network, selector, block, lease, link, bridge, peers’ entries, isolation, NAT. The kernels of all nodes are asked; needs the role overlaynet-inspector. Exit status: 0 all is right, 1 something is wrong, 2 something could not be read.',
    examples: [
      ['why pod shop/web-0', 'why does this pod reach nothing'],
      ['why node node1', 'what is wrong with this node'],
      ['why network dcos -o json', 'the same for programs'],
    ] as [string, string][],
  },
  check: {
    name: 'check',
    summary: 'tell whether all that is known of the cluster agrees',
    description:
      'Holds against each other: ledger, allocations, agents’ registrations, kernels, leases, records of containers, pods, Docker; names leaks, duplicates and strangers. What shows in one of two looks alone is left out. --fix restarts, one by one, the agents of nodes on which something is left that an agent mends when it starts: entries of the kernel, leases and records of containers that are gone. That is safe: a restart changes nothing else, and containers go on. Nothing else is fixed. Needs the role overlaynet-inspector and the right to list pods. Exit status: 0 all agrees, 1 something does not, 2 something could not be read.',
    examples: [
      ['check', 'does everything agree'],
      ['check --fix', 'and mend what is safe to'],
      ['check -o json', 'the same for programs'],
    ] as [string, string][],
  },
  probe: {
    name: 'probe',
    summary: 'have nodes probe each other now, and tell what is wrong between them',
    description:
      'Has the agents of pairs of nodes send packets to each other, small and full-size, IPv4 and IPv6, on the underlay and through the tunnel, and gives a verdict with evidence and remedy: PortBlocked, MTUTooLarge, ChecksumOffload, MACMismatch, RouteMissing, NotAMember, PeerDown, OneWay, Slow. Of each pair both nodes probe, and once more where they come to a verdict. Without flags 20 pairs are chosen at random. Four groups of at most eight pairs are probed at once. Needs the roles overlaynet-viewer and overlaynet-prober. Exit status: 0 no verdict, 1 there is one, 2 something could not be told.',
    examples: [
      ['probe', 'does a sample of the nodes reach each other'],
      ['probe --from node1 --to node2', 'these two'],
      ['probe --from node1 --all', 'one node and every other'],
      ['probe --sample 100 -o json', 'a hundred pairs, for programs'],
    ] as [string, string][],
  },
  trace: {
    name: 'trace',
    summary: 'follow a packet from a pod, hop by hop',
    description:
      'Follows the packet that a pod would send, hop by hop, on its node and on that of the target, as the kernels answer: bridge, route, our own chains and sets with the rule that gives the verdict, NAT, neighbour, forwarding entry, underlay, membership, the target’s neighbour entry. No packet is sent, unless with --send: then one is, up to three times until it is answered, from a port of its own on the pod’s bridge, so that the pod gets the answer; it tells on which links of both nodes the packet was seen, and the answer. Of Services it knows nothing: give the address of an endpoint. Needs the role overlaynet-inspector, and --send overlaynet-prober. Exit status: 0 every step is right, 1 one is wrong, 2 one could not be read.',
    examples: [
      ['trace --from shop/web-0 --to shop/db-0:5432', 'would this connection come about'],
      ['trace --from shop/web-0 --to 9.0.1.7', 'a ping'],
      [
        'trace --from shop/web-0 --to shop/db-0:5432 --send',
        'send the first packet of it, and see where it gets to',
      ],
      ['trace --from shop/web-0 --to 10.1.2.3:443', 'with which source does it leave the overlay'],
    ] as [string, string][],
  },
  bundle: {
    name: 'bundle',
    summary: 'collect what a maintainer needs in one file',
    description:
      'Collects in one tar file what a maintainer needs: objects with their conditions, Events, logs of operators and agents, how kernels differ from what is desired, versions, and what status and check say. Secrets are not read, and what looks like a token, a password or a private key is left out. --anonymise puts hashes in place of the names of pods, namespaces and containers, the same for the same name, in logs and kernels too; names of nodes and networks, and addresses, stay. What cannot be had is named, and the rest is collected. Needs the role overlaynet-inspector, and the rights to list the objects and read the logs. Exit status: 0 all is in it, 1 something is missing, 2 there is no file.',
    examples: [
      ['bundle', 'write overlaynet-bundle-TIME.tar.gz here'],
      ['bundle --anonymise -o case.tar.gz', 'for others to read'],
    ] as [string, string][],
  },
};

const json = (): Option =>
  new Option('-o, --output <form>', 'how it is printed; default: for people').choices(['json']);

export function addInspect(add: (key: keyof typeof inspectTexts) => Command): void {
  add('why')
    .addArgument(new Argument('<kind>', 'of what').choices(['pod', 'node', 'network']))
    .argument('<name>', 'its name; of a pod NAMESPACE/NAME')
    .addOption(json());
  add('check')
    .option('--fix', 'restart the agents that can mend what is left on their nodes')
    .addOption(json());
  add('probe')
    .option('--from <node>', 'one node of each pair')
    .option('--to <node>', 'the other')
    .option('--all', 'every pair; of many nodes that takes its time')
    .option('--sample <count>', 'so many pairs, chosen at random; default: 20')
    .addOption(json());
  add('trace')
    .requiredOption('--from <container>', 'the pod that sends: NAMESPACE/NAME; or a container’s address')
    .requiredOption('--to <target>', 'a pod, or an address; with :PORT or without')
    .addOption(
      new Option('--protocol <name>', 'default: tcp with a port, else icmp').choices(['tcp', 'udp', 'icmp']),
    )
    .option('--send', 'also send such a packet, and tell where it was seen and what answered')
    .addOption(json());
  add('bundle')
    .option('-o, --output <file>', 'default: overlaynet-bundle-TIME.tar.gz in this directory')
    .option('--anonymise', 'hash the names of pods, namespaces and containers')
    .option('--agents <count>', 'logs of so many agents, those that are not ready first; default: 20');
}

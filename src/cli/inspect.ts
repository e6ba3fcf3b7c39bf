import { Argument, Option, type Command } from 'commander';

/** Texts of the commands that compare the actual with the desired state: why, check, probe, trace. */
export const inspectTexts = {
  why: {
    name: 'why',
    summary: 'find out why a pod, a node or a network does not work',
    description:
      'Checks, one after the other, everything that a pod, a node or a network needs: annotation, network, selector, block, lease, link, bridge, peers’ entries, isolation, NAT. Shows the evidence for each step, ends at the first one that is wrong, and says what to do. Asks the kernels of all nodes; needs the role overlaynet-inspector. Exit status: 0 everything is right, 1 something is wrong, 2 something could not be read.',
    examples: [
      ['why pod shop/web-0', 'why does this pod reach nothing'],
      ['why node node1', 'what is wrong with this node'],
      ['why network dcos -o json', 'the same for programs'],
    ] as [string, string][],
  },
  check: {
    name: 'check',
    summary: 'compare the cluster’s objects, kernels and records',
    description:
      'Compares ledger, allocations, agents’ registrations, kernels, leases, records of containers, pods and Docker, and names leaks, duplicates and foreign objects. It looks twice, and leaves out what only one look shows. --fix restarts, one by one, the agents of nodes with leftovers that an agent removes when it starts: kernel entries, leases and records of containers that are gone. That is safe: a restart changes nothing else, and containers keep running. --fix does nothing else. Needs the role overlaynet-inspector and the right to list pods. Exit status: 0 everything agrees, 1 something does not, 2 something could not be read.',
    examples: [
      ['check', 'does everything agree'],
      ['check --fix', 'also mend what is safe to mend'],
      ['check -o json', 'the same for programs'],
    ] as [string, string][],
  },
  probe: {
    name: 'probe',
    summary: 'let nodes probe each other now, and show faults between them',
    description:
      'Lets the agents of pairs of nodes send packets to each other: small and full-size, IPv4 and IPv6, on the underlay and through the tunnel. Gives a verdict with evidence and remedy: PortBlocked, MTUTooLarge, ChecksumOffload, MACMismatch, RouteMissing, NotAMember, PeerDown, OneWay, Slow. Both nodes of a pair probe, and probe again if they find a fault. Without flags 20 pairs are chosen at random. Four groups of at most eight pairs are probed at once. Needs the roles overlaynet-viewer and overlaynet-prober. Exit status: 0 no verdict, 1 a verdict, 2 something is unknown.',
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
      'Follows the packet that a pod would send, hop by hop, on its node and on the target’s node, according to their kernels: bridge, route, overlaynet’s chains and sets with the rule that decides, NAT, neighbour, forwarding entry, underlay, membership, the target’s neighbour entry. It sends no packet. With --send it does: one packet, up to three times until it is answered, from a separate port on the pod’s bridge, so that the pod gets the answer; it then shows the answer, and which links of both nodes saw the packet. It does not resolve Services: give the address of an endpoint. Needs the role overlaynet-inspector, and with --send overlaynet-prober. Exit status: 0 every step is right, 1 one is wrong, 2 one could not be read.',
    examples: [
      ['trace --from shop/web-0 --to shop/db-0:5432', 'would this connection work'],
      ['trace --from shop/web-0 --to 9.0.1.7', 'a ping'],
      [
        'trace --from shop/web-0 --to shop/db-0:5432 --send',
        'send its first packet, and see how far it gets',
      ],
      ['trace --from shop/web-0 --to 10.1.2.3:443', 'with which source address does it leave the overlay'],
    ] as [string, string][],
  },
  bundle: {
    name: 'bundle',
    summary: 'collect what a maintainer needs in one file',
    description:
      'Collects in one tar file what a maintainer needs: objects with their conditions, Events, logs of operators and agents, differences between kernels and the desired state, versions, and the output of status and check. It reads no Secrets, and leaves out text that looks like a token, a password or a private key. --anonymise replaces the names of pods, namespaces and containers by hashes, also in logs and kernels; equal names get equal hashes; names of nodes and networks, and addresses, stay. If a part cannot be read, the bundle names it and has the rest. Needs the role overlaynet-inspector, and the rights to list the objects and read the logs. Exit status: 0 everything is in it, 1 something is missing, 2 there is no file.',
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
    .addArgument(new Argument('<kind>', 'kind of object').choices(['pod', 'node', 'network']))
    .argument('<name>', 'name of the object; for a pod NAMESPACE/NAME')
    .addOption(json());
  add('check').option('--fix', 'restart the agents of nodes with leftovers').addOption(json());
  add('probe')
    .option('--from <node>', 'one node of each pair')
    .option('--to <node>', 'the other')
    .option('--all', 'every pair; with many nodes that takes long')
    .option('--sample <count>', 'number of pairs, chosen at random; default: 20')
    .addOption(json());
  add('trace')
    .requiredOption('--from <container>', 'the sending pod, NAMESPACE/NAME, or a container’s address')
    .requiredOption('--to <target>', 'a pod, or an address; with :PORT or without')
    .addOption(
      new Option('--protocol <name>', 'default: tcp with a port, else icmp').choices(['tcp', 'udp', 'icmp']),
    )
    .option('--send', 'also send such a packet, and show where it was seen and the answer')
    .addOption(json());
  add('bundle')
    .option('-o, --output <file>', 'default: overlaynet-bundle-TIME.tar.gz in this directory')
    .option('--anonymise', 'hash the names of pods, namespaces and containers')
    .option(
      '--agents <count>',
      'number of agents whose logs are collected, those that are not ready first; default: 20',
    );
}

import { Argument, Option, type Command } from 'commander';

/** Commands that hold what is against what should be: why, check, trace. */
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
  trace: {
    name: 'trace',
    summary: 'follow a packet from a pod, hop by hop',
    description:
      'Follows the packet that a pod would send, hop by hop, on its node and on that of the target, as the kernels answer: bridge, route, our own chains and sets with the rule that gives the verdict, NAT, neighbour, forwarding entry, underlay, membership, the target’s neighbour entry. No packet is sent. Of Services it knows nothing: give the address of an endpoint. Needs the role overlaynet-inspector. Exit status: 0 every step is right, 1 one is wrong, 2 one could not be read.',
    examples: [
      ['trace --from shop/web-0 --to shop/db-0:5432', 'would this connection come about'],
      ['trace --from shop/web-0 --to 9.0.1.7', 'a ping'],
      ['trace --from shop/web-0 --to 10.1.2.3:443', 'with which source does it leave the overlay'],
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
  add('trace')
    .requiredOption('--from <pod>', 'the pod that sends: NAMESPACE/NAME')
    .requiredOption('--to <target>', 'a pod, or an address; with :PORT or without')
    .addOption(
      new Option('--protocol <name>', 'default: tcp with a port, else icmp').choices(['tcp', 'udp', 'icmp']),
    )
    .addOption(json());
}

import { addressesOf } from '../../../hack/testbed/lab.ts';
import type { Verdict } from '../../../src/rows/probe.ts';
import { switchOffload } from '../../support/probing.ts';

/** What is wrong between two nodes, and what the first must say about the second. */
export interface Cause {
  from: string;
  to: string;
  verdict: Verdict;
  /** What the evidence says, where a verdict has more than one. */
  evidence?: RegExp;
  /** On a node, or in the hub between them. */
  at: string;
  /** In scripts, BLOCK is the second's first block without its length, and VTEP its address in the tunnel. */
  does: string;
  undo: string;
  /** A program that runs all the time, as what writes again what the agent has mended. */
  keeps?: string;
  /** The agent mends it, and the program does it again: a probe sees the one state or the other. */
  contested?: true;
}

const ip = (node: string) => addressesOf(node)[0];
/** A rule of a firewall, and the same taken back. */
const rules = (...all: string[]) => ({
  does: all.map((rule) => `iptables -t ${rule.replace('CHAIN', '-I')}`).join(' && '),
  undo: all.map((rule) => `iptables -t ${rule.replace('CHAIN', '-D')}`).join(' && '),
});
const tunnel = '-p udp --dport 64000 -j DROP';

/** Causes that stand at the same time, in groups: each is between other two nodes. */
export const causes: readonly (readonly Cause[])[] = [
  [
    {
      ...{ from: 'node1', to: 'node2', verdict: 'PortBlocked', at: 'node1' },
      ...rules(
        `raw CHAIN PREROUTING -s ${ip('node2')} ${tunnel}`,
        `mangle CHAIN POSTROUTING -d ${ip('node2')} ${tunnel}`,
      ),
    },
    {
      ...{ from: 'node2', to: 'node3', verdict: 'OneWay', at: 'node3' },
      ...rules(`raw CHAIN PREROUTING -s ${ip('node2')} ${tunnel}`),
    },
    {
      ...{ from: 'node1', to: 'node3', verdict: 'MTUTooLarge', at: 'hub' },
      does: 'ip link set node3 mtu 1300',
      undo: 'ip link set node3 mtu 1500',
    },
  ],
  [
    {
      // as another program's more specific route; the agent leaves it alone
      ...{ from: 'node1', to: 'node2', verdict: 'RouteMissing', at: 'node1' },
      does: 'ip route add blackhole BLOCK/25',
      undo: 'ip route del blackhole BLOCK/25',
    },
    {
      ...{ from: 'node1', to: 'node3', verdict: 'PeerDown', at: 'hub' },
      does: 'ip link set node3 down',
      undo: 'ip link set node3 up',
    },
  ],
];

/** Another program that repeats what the agent mends. */
const again = (does: string) => `while :; do ${does}; sleep 0.03; done`;
const wrongMAC = 'ip neigh replace VTEP lladdr 70:b3:d5:00:00:99 dev vtep1024 nud permanent';
const dropsMember = `ipset -exist del overlaynet-members-4 ${ip('node3')}`;

/**
 * Causes that the command names at once. An agent mends two of them within seconds, and another program repeats them: a
 * condition is the work of a minute, and would only say who wrote last.
 */
export const sudden: readonly (readonly Cause[])[] = [
  [
    {
      ...{ from: 'node1', to: 'node2', verdict: 'MACMismatch', at: 'node1' },
      evidence: /^on node1 the neighbour entry of [0-9.]+ on vtep1024 says 70:b3:d5:00:00:99, and should say/,
      does: wrongMAC,
      undo: 'true',
      keeps: again(wrongMAC),
      contested: true,
    },
    {
      ...{ from: 'node2', to: 'node3', verdict: 'NotAMember', at: 'node2' },
      evidence: /^on node2 [0-9.]+ is not in the set overlaynet-members-4: its tunnel packets are dropped/,
      does: dropsMember,
      undo: 'true',
      keeps: again(dropsMember),
      contested: true,
    },
    {
      // as a driver that computes checksums wrongly
      ...{ from: 'node3', to: 'node1', verdict: 'ChecksumOffload', at: 'node3' },
      evidence: /^node1 counts wrong UDP checksums \(InCsumErrors\) while packets of node3 are missing/,
      does: `perl -e '${switchOffload}' vtep1024 0 && nft 'table ip ovt_corrupt { chain out { type filter hook output priority 0; oifname vtep1024 ip daddr VTEP meta l4proto udp udp checksum set 0x1234; }; }'`,
      undo: `nft delete table ip ovt_corrupt; perl -e '${switchOffload}' vtep1024 1`,
    },
  ],
  [
    {
      // 125 kB/s, and a little more than that all the time: each packet waits for 40 others that came before it
      ...{ from: 'node1', to: 'node2', verdict: 'Slow', at: 'node1' },
      evidence: /^the fastest answer through the tunnel \(IPv[46]\) took more than 250 ms/,
      does: 'tc qdisc add dev vtep1024 root tbf rate 1mbit burst 1600 limit 400000',
      undo: 'tc qdisc del dev vtep1024 root',
      keeps: 'exec ping -n -q -S 1000000 -l 40 -i 0.01 -s 1300 VTEP',
    },
  ],
];

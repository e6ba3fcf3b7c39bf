import { setTimeout as sleep } from 'node:timers/promises';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import type { Verdict } from '../../src/rows/probe.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { ProbeNode, softwareChecksums } from '../support/probing.ts';
import { Wire } from '../support/wire.ts';

// Two nodes whose kernels are damaged in every way that has a verdict, and the verdict that each of them comes to. No
// agent runs that would mend the damage.

const port = 9181;
const mtu = 1400;
const wire = new Wire();
const probers: ProbeNode[] = [];

const repair = async () => {
  for (const [index, node] of wire.nodes.entries()) {
    const { failures } = await new DataPath({ log: silent, run: node.run }).reconcile(
      cluster(2, index, { mtu }),
    );
    expect(failures).toEqual([]);
  }
};

beforeAll(async () => {
  await wire.up('IPv4', { mtu });
  for (const [index, node] of wire.nodes.entries()) {
    const prober = await ProbeNode.start(node, port);
    probers.push(prober);
    // otherwise the kernel leaves checksums to a card, which a virtual link does not have, and they are never checked
    await softwareChecksums(node, 'vtep1024');
    const { listening, problems } = await prober.tell({ snapshot: cluster(2, index, { mtu }) });
    expect(problems).toEqual([]);
    expect(listening).toHaveLength(4);
  }
});
afterAll(async () => {
  await Promise.all(probers.map((prober) => prober.stop()));
  await wire.down();
});

const check = (from: 0 | 1, options?: Parameters<ProbeNode['check']>[1]) =>
  probers[from]!.check(`node${1 - from}`, options);

/**
 * What both find. Where a machine is so busy that a kernel was not read in time, a check comes to no verdict and says that:
 * it is made again. A wrong verdict is what the test sees.
 */
const both = async (options?: Parameters<typeof check>[1]) =>
  eventually(
    () => Promise.all([check(0, options), check(1, options)]),
    (outcomes) => outcomes.every(({ unknown }) => unknown === undefined),
    { what: 'what both nodes find', seconds: 90 },
  );

test('nodes that reach each other give no verdict, and times of both layers', async () => {
  for (const from of [0, 1] as const) {
    const outcome = await check(from);
    expect(outcome.judgement).toBeUndefined();
    expect(outcome.unknown).toBeUndefined();
    expect(outcome.underlayMs).toBeGreaterThan(0);
    expect(outcome.overlayMs).toBeGreaterThan(0);
  }
});

test('a peer whose agent gets no processor is no verdict, be it for ever or in the midst of a check', async () => {
  const [, peer] = probers;
  peer!.pause();
  try {
    const { judgement, unknown } = await check(0);
    expect(judgement).toBeUndefined();
    expect(unknown).toMatch(/^the kernel of node1 answers through the tunnel, and its agent does not/);
  } finally {
    peer!.resume();
  }
  for (const afterMs of [50, 400, 900]) {
    const outcome = check(0);
    await sleep(afterMs);
    peer!.pause();
    await sleep(3_000);
    peer!.resume();
    expect((await outcome).judgement).toBeUndefined();
  }
});

const place = (at: Damage['at']) => (at === 'between' ? wire.all.at(-1)! : wire.nodes[at]!);

interface Damage {
  what: string;
  /** A node, or what is between them. */
  at: 0 | 1 | 'between';
  does: string[];
  undo?: string[];
  /** As node0 and node1 see it. */
  verdicts: [Verdict | undefined, Verdict | undefined];
  evidence: RegExp;
}

const a = nodeAddresses(0)[0]!;
const b = nodeAddresses(1)[0]!;
/** A driver that computes checksums wrongly: they are computed before, and then one that is wrong takes their place. */
const corrupts = [
  'nft add table inet ovt_corrupt',
  'nft add chain inet ovt_corrupt out { type filter hook output priority 0 ; }',
  'nft add rule inet ovt_corrupt out oifname vtep1024 meta l4proto udp udp checksum set 0x1234',
];
const damages: Damage[] = [
  {
    what: 'a firewall of node1 that drops the tunnel’s port in both directions',
    at: 1,
    does: [
      'iptables-nft -t raw -I PREROUTING -p udp --dport 64000 -j DROP',
      'iptables-nft -t mangle -I POSTROUTING -p udp --dport 64000 -j DROP',
    ],
    undo: [
      'iptables-nft -t raw -D PREROUTING -p udp --dport 64000 -j DROP',
      'iptables-nft -t mangle -D POSTROUTING -p udp --dport 64000 -j DROP',
    ],
    verdicts: ['PortBlocked', 'PortBlocked'],
    evidence: /UDP port 64000\) do not arrive in either direction/,
  },
  {
    what: 'a route of node0 to a block of node1 that is gone',
    at: 0,
    does: ['ip route del 9.0.1.0/24'],
    verdicts: ['RouteMissing', 'RouteMissing'],
    evidence: /no route leads to 9\.0\.1\.0|node0 says: a route/,
  },
  {
    what: 'a neighbour entry of node0 with another MAC',
    at: 0,
    does: ['ip neigh replace 44.128.0.2 lladdr 70:b3:d5:80:00:99 dev vtep1024 nud permanent'],
    verdicts: ['MACMismatch', 'MACMismatch'],
    evidence: /44\.128\.0\.2 on vtep1024 says 70:b3:d5:80:00:99|node0 says: its neighbour/,
  },
  {
    what: 'a forwarding entry of node0 that leads elsewhere',
    at: 0,
    does: ['bridge fdb replace 70:b3:d5:80:00:02 dst 172.17.9.9 dev vtep1024'],
    verdicts: ['MACMismatch', 'MACMismatch'],
    evidence: /leads to 172\.17\.9\.9|node0 says: its neighbour/,
  },
  {
    what: 'a peer that is not among the members of node0',
    at: 0,
    does: [`ipset del overlaynet-members-4 ${b}`],
    verdicts: ['NotAMember', 'NotAMember'],
    evidence: /not in the set overlaynet-members-4|node0 says: this node is not among/,
  },
  {
    what: 'the tunnel of node1 that is down',
    at: 1,
    does: ['ip link set vtep1024 down'],
    verdicts: ['PeerDown', 'RouteMissing'],
    evidence: /link is down or missing|vtep1024 is down/,
  },
  {
    what: 'tunnel packets that come from node1 to node0 and not back',
    at: 1,
    does: [`iptables-nft -t raw -I PREROUTING -p udp -s ${a} --dport 64000 -j DROP`],
    undo: [`iptables-nft -t raw -D PREROUTING -p udp -s ${a} --dport 64000 -j DROP`],
    verdicts: ['OneWay', 'OneWay'],
    evidence: /come from node1 to node0, and not from node0 to node1/,
  },
  {
    what: 'packets of every kind that come from node1 to node0 and not back',
    at: 1,
    does: [
      `iptables-nft -t raw -I PREROUTING -s ${a} -j DROP`,
      `ip6tables-nft -t raw -I PREROUTING -i eth0 -p udp -j DROP`,
    ],
    undo: [
      `iptables-nft -t raw -D PREROUTING -s ${a} -j DROP`,
      `ip6tables-nft -t raw -D PREROUTING -i eth0 -p udp -j DROP`,
    ],
    verdicts: ['OneWay', 'PeerDown'],
    evidence: /no packet to node1 is answered|answers on no path/,
  },
  {
    what: 'a link between the nodes that carries less than the tunnel’s packets',
    at: 'between',
    does: ['ip link set p1 mtu 1300'],
    undo: ['ip link set p1 mtu 1500'],
    verdicts: ['MTUTooLarge', 'MTUTooLarge'],
    evidence: /carries IPv4 packets of 448 bytes, and none of 1400, nor does the underlay carry one of 1450/,
  },
  {
    what: 'an uplink of node0 that carries less than the tunnel’s packets',
    at: 0,
    does: ['ip link set eth0 mtu 1300'],
    undo: ['ip link set eth0 mtu 1500'],
    verdicts: ['MTUTooLarge', 'MTUTooLarge'],
    evidence:
      /the way to 172\.17\.0\.3 takes 1300 bytes, and a packet of the tunnel has up to 1450|none of 1400/,
  },
  {
    what: 'a link of node1 that is down',
    at: 'between',
    does: ['ip link set p1 down'],
    undo: ['ip link set p1 up'],
    verdicts: ['PeerDown', 'PeerDown'],
    evidence: /answers on no path, neither UDP nor TCP/,
  },
  {
    what: 'node0 that sends tunnel packets with wrong checksums',
    at: 0,
    does: corrupts,
    undo: ['nft delete table inet ovt_corrupt'],
    verdicts: ['ChecksumOffload', 'ChecksumOffload'],
    evidence: /counts wrong UDP checksums \(InCsumErrors\) while packets of node0 are missing/,
  },
];

describe.each(damages)('$what', ({ at, does, undo = [], verdicts, evidence }) => {
  beforeAll(async () => {
    for (const command of does) await place(at).sh(command);
  });
  afterAll(async () => {
    for (const command of undo) await place(at).sh(command);
    await repair();
  });

  test('is named by both', async () => {
    const outcomes = await both();
    expect(outcomes.map(({ judgement }) => judgement?.verdict)).toEqual(verdicts);
    for (const { judgement } of outcomes) {
      expect(judgement?.evidence).toMatch(evidence);
      expect(judgement?.remedy).not.toBe('');
    }
  });
});

describe('a tunnel that is slow', () => {
  beforeAll(async () => {
    const node = wire.nodes[0]!;
    await node.sh('tc qdisc add dev vtep1024 root tbf rate 64kbit burst 1600 limit 60000');
    // A second's worth at once, then a little more than the rate: each packet waits for those before it, also where a
    // busy machine sends some late.
    await node.spawn('ping', ['-l', '8', '-i', '0.11', '-s', '1000', '44.128.0.2']).ready;
    await eventually(async () => {
      const { stdout } = await node.run('tc', ['-s', 'qdisc', 'show', 'dev', 'vtep1024']);
      expect(Number(/backlog (\d+)b/.exec(stdout)?.[1])).toBeGreaterThan(4_000);
    });
  });
  afterAll(() => wire.nodes[0]!.sh('tc qdisc del dev vtep1024 root'));

  test('is named by both, and is no verdict where that much is allowed', async () => {
    const outcomes = await both({ slowMs: 25, answerMs: 5_000 });
    expect(outcomes.map(({ judgement }) => judgement?.verdict)).toEqual(['Slow', 'Slow']);
    // one family's packets may wait for the other's
    expect(outcomes[0].judgement?.evidence).toMatch(
      /^the fastest answer through the tunnel \(IPv[46]\) took more than 25 ms$/,
    );
    expect((await check(0, { slowMs: 10_000, answerMs: 5_000 })).judgement).toBeUndefined();
  });
});

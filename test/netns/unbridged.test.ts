import { ethernet, etherType, ipv4, ipv6, udp } from '../chaos/packets.ts';
import { bridge, network, PodBed, type Pod } from '../chaos/pods.ts';
import { sendFrames } from '../chaos/traffic.ts';
import { nodeAddresses } from '../support/cluster.ts';
import { Deliveries } from '../support/deliveries.ts';

/**
 * Frames that a container's port passes directly to the node's IP stack: those to groups that a bridge does not
 * forward, and all frames of a port without a bridge. Rules of the bridge family never see them.
 */
let bed: PodBed;
let self: Pod;
let delivered: Deliveries;
beforeEach(async () => {
  bed = await PodBed.up(1);
  [self] = bed.pods as [Pod];
  delivered = await Deliveries.count(bed.node);
});
afterEach(() => bed.down());

const forged = { 4: '9.2.0.9', 6: 'fd01:2::9' };
const own = () => ({ 4: self.ip, 6: self.ip6 });

/** Sends datagrams to the node, IPv4 and IPv6; returns how many of each arrived. */
async function got(from: { 4: string; 6: string }, toMAC: string): Promise<number[]> {
  await delivered.reset();
  const [to4, to6] = nodeAddresses(0) as [string, string];
  const ports = { from: 4000, to: 4001 };
  const ends = { 4: { from: from[4], to: to4 }, 6: { from: from[6], to: to6 } };
  const body = Buffer.alloc(8);
  const frames = [
    ethernet(toMAC, self.mac, etherType.ip, ipv4(ends[4], 17, udp(ends[4], ports, body))),
    ethernet(toMAC, self.mac, etherType.ip6, ipv6(ends[6], 17, udp(ends[6], ports, body))),
  ];
  await sendFrames(self.netns, 'eth0', frames, 20);
  return [await delivered.from(from[4]), await delivered.from(from[6])];
}

const linkMAC = async (link: string): Promise<string> => {
  const [{ address }] = JSON.parse(await bed.node.sh(`ip -j link show ${link}`)) as [{ address: string }];
  return address;
};
/** Removes the rule, to prove that the datagrams would arrive. */
async function withoutTheRule(): Promise<void> {
  for (const program of ['iptables', 'ip6tables'])
    await bed.node.sh(`${program} -t raw -D OVERLAYNET-PREROUTING -i c-+ -j DROP`);
}

test.each(['01:80:c2:00:00:03', '01:80:c2:00:00:0e'])(
  'forged packets to %s, which no bridge forwards, do not reach the node',
  async (group) => {
    expect(await got(forged, group)).toEqual([0, 0]);
    expect(await got(own(), await linkMAC(bridge))).toEqual([10, 10]);
    await withoutTheRule();
    expect(await got(forged, group)).toEqual([10, 10]);
  },
);

test.each([
  ['its network is removed', () => bed.reconcile([{ ...network, name: 'other' }])],
  ['somebody removes the bridge', () => bed.node.sh(`ip link del ${bridge}`)],
])('a container without a bridge can send nothing: %s', async (_, remove) => {
  await remove();
  const mac = await linkMAC(self.port);
  expect(await got(own(), mac)).toEqual([0, 0]);
  expect(await got(forged, mac)).toEqual([0, 0]);
  await withoutTheRule();
  expect(await got(own(), mac)).toEqual([10, 10]);
});

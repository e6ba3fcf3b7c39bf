import type { Netns } from './netns.ts';

const rules = `table inet deliveries {
  set seen4 { typeof ip saddr . meta l4proto; flags dynamic; size 65535; counter; }
  set seen6 { typeof ip6 saddr . meta l4proto; flags dynamic; size 65535; counter; }
  chain delivered {
    type filter hook input priority 100;
    ct state established,related return
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report } return
    add @seen4 { ip saddr . meta l4proto }
    add @seen6 { ip6 saddr . meta l4proto }
  }
}
`;

interface Elem {
  elem: { val: { concat: [string, string | number] }; counter: { packets: number } };
}

/**
 * Counts the packets that are delivered in a namespace, answered or not. Ignores neighbour discovery and packets of
 * established connections, which may still send FIN or RST.
 */
export class Deliveries {
  readonly #netns: Netns;

  private constructor(netns: Netns) {
    this.#netns = netns;
  }

  static async count(netns: Netns): Promise<Deliveries> {
    await netns.sh('nft -f -', rules);
    return new Deliveries(netns);
  }

  async reset(): Promise<void> {
    await this.#netns.sh('nft -f -', 'flush set inet deliveries seen4\nflush set inet deliveries seen6\n');
  }

  /** Returns the number of packets by source and protocol. */
  async seen(): Promise<Map<string, number>> {
    const packets = new Map<string, number>();
    for (const name of ['seen4', 'seen6']) {
      const { nftables } = JSON.parse(await this.#netns.sh(`nft -j list set inet deliveries ${name}`)) as {
        nftables: { set?: { elem?: Elem[] } }[];
      };
      for (const { elem } of nftables.flatMap(({ set }) => set?.elem ?? [])) {
        const [source, protocol] = elem.val.concat;
        packets.set(`${source} ${protocol}`, elem.counter.packets);
      }
    }
    return packets;
  }

  /** Returns the number of packets from any of those addresses. */
  async from(...addresses: (string | undefined)[]): Promise<number> {
    const seen = [...(await this.seen())];
    return seen
      .filter(([key]) => addresses.includes(key.slice(0, key.indexOf(' '))))
      .reduce((sum, [, packets]) => sum + packets, 0);
  }
}

import type { Underlay } from '../../src/api/types.ts';
import { renderFigures, type Figure } from '../chaos/figure.ts';
import { injection, onThatPort } from '../chaos/injection.ts';
import { injections, tunnelled } from '../chaos/injections.ts';
import { rawFrames, tunnelPayload } from '../chaos/sending.ts';
import { count, markOf, sendFrames } from '../chaos/traffic.ts';
import { otherLink, registered, Wire } from '../chaos/wire.ts';

const frames = 1_000;

describe.each<Underlay>(['IPv4', 'IPv6'])('forged tunnel packets over %s', (underlay) => {
  const wire = new Wire(underlay);
  let forged: Figure[];
  let honest: Figure[];

  beforeAll(async () => {
    await wire.up();
    ({ forged, honest } = await injection(wire, frames));
    process.stdout.write(`tunnel over ${underlay}\n${renderFigures(forged)}${renderFigures(honest)}`);
  });
  afterAll(() => wire.down());

  test.each(injections)('of $what reach no pod', ({ what, kernel }) => {
    const figure = forged.find((one) => one.what === what);
    expect(figure).toMatchObject({ sent: frames, delivered: 0 });
    // otherwise the zero would prove nothing
    if (kernel !== true) expect(figure?.without).toBeGreaterThan(0);
  });

  test.each([tunnelled, ...onThatPort])('permitted packets arrive: $what', ({ what }) => {
    expect(honest.find((one) => one.what === what)).toMatchObject({ sent: frames, delivered: frames });
  });

  /** Returns how many of the frames arrive that a member's kernel would send. */
  async function arriving(index: number): Promise<number> {
    const stop = await count(wire.victim.netns, 'eth0', [markOf(index)]);
    await tunnelled.send(wire, tunnelPayload(wire, markOf(index)), frames);
    const [delivered = NaN] = await stop();
    return delivered;
  }

  test('a member that is reached over several links may use each of them, and no other host may', async () => {
    const node = wire.node(1);
    const [member, self] = [registered(0)[wire.outer], registered(1)[wire.outer]];
    const length = wire.outer === 4 ? 32 : 128;
    const paths = `nexthop via ${member} dev eth0 onlink nexthop via ${otherLink[wire.outer]}9 dev eth1 onlink`;
    const route = `ip -${wire.outer} route replace ${member}/${length} src ${self}`;
    const macs = { from: '02:00:00:00:00:09', to: await macOf('eth1') };
    const byOtherLink = async (mark: Buffer) => {
      const stop = await count(wire.victim.netns, 'eth0', [mark]);
      const payload = tunnelPayload(wire, mark);
      await sendFrames(
        wire.rogue,
        'eth0',
        rawFrames(wire, macs, payload, { from: member, to: self }),
        frames,
      );
      return (await stop())[0];
    };
    expect(await byOtherLink(markOf(200))).toBe(0);
    // an administrator's own rule for that port permits nothing more
    const iptables = wire.outer === 4 ? 'iptables-nft' : 'ip6tables-nft';
    const untracked = 'PREROUTING -p udp --dport 64000 -j CT --notrack';
    await node.sh(`${iptables} -t raw -I ${untracked}`);
    expect(await byOtherLink(markOf(204))).toBe(0);
    await node.sh(`${iptables} -t raw -D ${untracked}`);
    await node.sh(`${route} ${paths}`);
    expect([await byOtherLink(markOf(201)), await arriving(202)]).toEqual([frames, frames]);
    await node.sh(`ip -${wire.outer} route del ${member}/${length}`);
    expect(await byOtherLink(markOf(203))).toBe(0);
  });

  const macOf = async (link: string): Promise<string> => {
    const [found] = JSON.parse(await wire.node(1).sh(`ip -j link show ${link}`)) as [{ address: string }];
    return found.address;
  };

  test('packets of a removed node are dropped after one pass of the others', async () => {
    expect(await arriving(210)).toBe(frames);
    const start = performance.now();
    await wire.reconcile(true);
    process.stdout.write(`removed node out after a pass of ${Math.round(performance.now() - start)} ms\n`);
    expect(await arriving(211)).toBe(0);
    await wire.reconcile();
    expect(await arriving(212)).toBe(frames);
  });
});

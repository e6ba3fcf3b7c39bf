import { renderFigures, type Figure } from '../chaos/figure.ts';
import { bridge, PodBed, type Pod } from '../chaos/pods.ts';
import type { Parties } from '../chaos/speaker.ts';
import { spoofing } from '../chaos/spoofing.ts';
import { controlFrame, honest, spoofs } from '../chaos/spoofs.ts';
import { sendFrames } from '../chaos/traffic.ts';

const frames = 1_000;

/** A placeholder: the names of the kinds do not depend on the parties. */
const someone = { mac: '02:00:00:00:00:01', ip: '9.0.0.1', ip6: 'fd01:b::1', local: 'fe80::1' };
const parties: Parties = { self: someone, victim: someone, other: someone, gateway: someone };

let bed: PodBed;
let self: Pod, victim: Pod, other: Pod;
let figures: Awaited<ReturnType<typeof spoofing>>;

beforeAll(async () => {
  bed = await PodBed.up(3);
  [self, victim, other] = bed.pods as [Pod, Pod, Pod];
  figures = await spoofing(bed, frames);
  process.stdout.write(`${renderFigures(figures.spoofed)}${renderFigures(figures.honest)}`);
});
afterAll(() => bed.down());

const named = (list: Figure[], what: string): Figure | undefined =>
  list.find((figure) => figure.what === what);

test.each(spoofs(parties).map(({ what }) => what))('no container or host receives: %s', (what) => {
  const figure = named(figures.spoofed, what);
  expect(figure).toMatchObject({ sent: frames, delivered: 0 });
  // otherwise the zero would prove nothing
  expect(figure?.without).toBeGreaterThan(0);
});

test.each(honest(parties).map(({ what }) => what))('every frame arrives: %s', (what) => {
  expect(named(figures.honest, what)).toMatchObject({ sent: frames, delivered: frames });
});

test('ten thousand frames leave in a second', async () => {
  const [frame] = honest(await bed.parties())[0]!.frames(Buffer.alloc(4));
  const { ms } = await sendFrames(self.netns, 'eth0', [frame!], 10_000);
  process.stdout.write(`10,000 frames sent in ${Math.round(ms)} ms\n`);
  expect(ms).toBeLessThan(1_000);
});

describe('pods communicate', () => {
  beforeAll(async () => {
    for (const { netns } of bed.pods) await netns.sh('ip neigh flush dev eth0');
    await bed.node.sh(`ip neigh flush dev ${bridge}`);
  });

  test.each(['9.0.0.3', '9.0.0.1', 'fd01:b::3', 'fd01:b::1', 'fe80::858:9ff:fe00:3%eth0'])(
    'to %s by ping, asking for neighbours first',
    async (to) => {
      await self.netns.sh(`ping -n -q -c 2 -w 5 ${to}`);
    },
  );

  test.each(['9.0.0.3', 'fd01:b::3'])('to %s by TCP', async (to) => {
    const listen = `require('node:net').createServer((s) => s.pipe(s)).listen(8080, '::', () => console.log('ready'))`;
    const server = victim.netns.spawn(process.execPath, ['-e', listen]);
    await server.ready;
    const text = 'all of it\n'.repeat(20_000);
    const ask = `const s = require('node:net').connect(8080, '${to}', () => process.stdin.pipe(s)); s.pipe(process.stdout)`;
    const { stdout } = await self.netns.run(process.execPath, ['-e', ask], { input: text });
    await server.stop();
    expect(stdout).toBe(text);
  });

  test('the node reaches them, as probes do', async () => {
    await bed.node.sh('ping -n -q -c 1 -w 5 9.0.0.2');
    await bed.node.sh('ping -n -q -c 1 -w 5 fd01:b::2');
  });

  test('a pod’s own address passes duplicate address detection', async () => {
    await other.netns.sh('sysctl -qw net.ipv6.conf.eth0.accept_dad=1');
    for (const address of [`${other.ip6}/81`, `${other.local}/64`]) {
      await other.netns.sh(`ip addr del ${address} dev eth0`);
      await other.netns.sh(`ip addr add ${address} dev eth0`);
    }
    const deadline = Date.now() + 10_000;
    const state = () => other.netns.sh('ip -6 -o addr show dev eth0');
    while ((await state()).includes('tentative') && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(await state()).not.toMatch(/tentative|dadfailed/);
    await other.netns.sh('ping -n -q -c 1 -w 5 fd01:b::3');
  });
});

test('a bridge learns no address from frames that it keeps for itself', async () => {
  const where = async () =>
    (await bed.node.sh(`bridge fdb show br ${bridge}`))
      .split('\n')
      .filter((line) => line.startsWith(other.mac) && !line.includes('permanent'))
      .map((line) => line.split(' ')[2]);
  const groups = [0, 1, 2, 3, 0xe, 0xf];
  const sent = async () => {
    await other.netns.sh('ping -n -q -c 1 -w 5 9.0.0.3');
    const all = await bed.parties();
    await sendFrames(
      self.netns,
      'eth0',
      groups.map((group) => controlFrame(all, group)),
      frames,
    );
    return where();
  };
  expect(await sent()).toEqual([other.port]);
  await bed.node.sh(`ip link set ${bridge} type bridge no_linklocal_learn 0`);
  expect(await sent()).toEqual([self.port]);
  expect(await bed.reconcile()).toBe(1);
  await other.netns.sh('ping -n -q -c 1 -w 5 9.0.0.3');
  expect(await sent()).toEqual([other.port]);
});

test('a port of ours without an element can send nothing, even while no agent runs', async () => {
  await bed.node.sh('nft flush set bridge overlaynet ports4');
  await bed.node.sh('nft flush set bridge overlaynet ports6');
  await self.netns.sh('ip neigh flush dev eth0');
  for (const to of ['9.0.0.3', 'fd01:b::3']) {
    expect((await self.netns.try(`ping -n -q -c 1 -W 1 ${to}`)).code).not.toBe(0);
  }
  expect(await bed.reconcile()).toBe(9);
  // clears neighbours of failed attempts
  await self.netns.sh('ip neigh flush dev eth0');
  await self.netns.sh('ping -n -q -c 1 -w 5 9.0.0.3');
});

test('a port of another program is not restricted', async () => {
  await bed.node.sh(`ip link set ${self.port} down`);
  await bed.node.sh(`ip link set ${self.port} name veth7`);
  await bed.node.sh('ip link set veth7 up');
  const all = await bed.parties();
  const [spoof] = spoofs(all)[0]!.frames(Buffer.alloc(4));
  const seen = async () => {
    const [link] = JSON.parse(await victim.netns.sh('ip -s -j link show eth0')) as [
      { stats64: { rx: { packets: number } } },
    ];
    return link.stats64.rx.packets;
  };
  const before = await seen();
  await sendFrames(self.netns, 'eth0', [spoof!], 100);
  expect((await seen()) - before).toBeGreaterThanOrEqual(100);
});

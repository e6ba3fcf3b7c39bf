import { Docker } from '../../src/docker/docker.ts';
import { Engine } from '../../src/docker/engine.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import type { Snapshot } from '../../src/dataplane/snapshot.ts';
import { silent } from '../../src/log.ts';
import { cluster, type ClusterOptions } from '../support/cluster.ts';
import { Dockerd } from '../support/dockerd.ts';
import { eventually } from '../support/eventually.ts';
import { capture, type Netns } from '../support/netns.ts';
import { ping, sourceSeen, Wire } from '../support/wire.ts';

const options: ClusterOptions = {
  networks: [
    { name: 'dcos', subnets: [{ cidr: '9.0.0.0/8', prefix: 24 }] },
    { name: 'dcos6', subnets: [{ cidr: 'fd01:b::/64', prefix: 80 }] },
    {
      name: 'dual',
      subnets: [
        { cidr: '10.100.0.0/16', prefix: 24 },
        { cidr: 'fd02::/48', prefix: 64 },
      ],
    },
  ],
};

/** Does what the agent does with a complete data path, and again after Docker has inserted rules before ours. */
async function reconcile(node: Netns, index: number, engine: Dockerd, asked = options): Promise<number> {
  const { changes, docker } = await apply(node, engine, cluster(2, index, asked));
  expect(docker.failures).toEqual([]);
  return changes;
}

async function apply(node: Netns, engine: Dockerd, snapshot: Snapshot) {
  const docker = new Docker({ engine: new Engine(engine.socket), links: node.links, log: silent });
  const { made, error } = await docker.reconcile(snapshot);
  expect(error).toBeUndefined();
  const path = new DataPath({ log: silent, run: node.run });
  const { failures, changes } = await path.reconcile({ ...snapshot, docker: docker.blocks! });
  expect(failures).toEqual([]);
  return { docker, changes: changes + Number(made) };
}

describe('two nodes with a Docker engine each', () => {
  const wire = new Wire();
  const engines: Dockerd[] = [];
  let node0: Netns, node1: Netns, pod0: Netns, pod1: Netns, pod6: Netns;
  let docker0: Dockerd, docker1: Dockerd;

  beforeAll(async () => {
    await wire.up('IPv4', options);
    [node0, node1] = wire.nodes as [Netns, Netns];
    for (const route of [
      '9.0.0.0/24 via 172.17.0.2',
      '10.100.0.0/24 via 172.17.0.2',
      'fd01:b::/80 via fd00:17::2',
      'fd02::/64 via fd00:17::2',
    ])
      await wire.outside.sh(`ip route add ${route}`);
    for (const [index, node] of wire.nodes.entries()) {
      // an engine with IPv6 rules, which are experimental in this version
      const engine = await Dockerd.start(node, index === 0 ? [] : ['--experimental', '--ip6tables']);
      engines.push(engine);
      await engine.image();
      await reconcile(node, index, engine);
      // the policy that Docker sets if it enables forwarding itself
      for (const program of ['iptables', 'ip6tables']) await node.sh(`${program} -P FORWARD DROP`);
    }
    [docker0, docker1] = engines as [Dockerd, Dockerd];
    pod0 = await wire.container(node0, 'm-dcos', '9.0.0.2/25', '9.0.0.1');
    pod1 = await wire.container(node1, 'm-dcos', '9.0.1.2/25', '9.0.1.1');
    pod6 = await wire.container(node1, 'm-dcos6', 'fd01:b::1:0:0:2/81', 'fd01:b::1:0:0:1');
    for (const [engine, names] of [
      [docker0, ['web', 'web6', 'two']],
      [docker1, ['web', 'web6', 'two']],
    ] as const) {
      for (const [at, net] of ['dcos', 'dcos6', 'dual'].entries()) {
        await engine.container(names[at]!, net);
      }
    }
  });
  afterAll(async () => {
    for (const engine of engines) await engine.stop();
    await wire.down();
  });

  const addresses = async (engine: Dockerd, name: string): Promise<string> =>
    engine.docker(
      `inspect -f {{range.NetworkSettings.Networks}}{{.IPAddress}},{{.GlobalIPv6Address}}{{end}} ${name}`,
    );
  const from = (engine: Dockerd, name: string, to: string, seconds = 5) =>
    engine.docker(`exec ${name} /bin/busybox ping -c 1 -W ${seconds} ${to}`);

  test('a container gets addresses of the second half of its node’s block', async () => {
    expect(await addresses(docker0, 'web')).toBe('9.0.0.130,');
    expect(await addresses(docker1, 'web')).toBe('9.0.1.130,');
    expect(await addresses(docker1, 'web6')).toMatch(/^(24\d\..*)?,fd01:b::1:8000:0:2$/);
    expect(await addresses(docker0, 'two')).toBe('10.100.0.130,fd02::8000:0:0:2');
    expect(await docker0.docker('exec web /bin/busybox ip link show eth0')).toContain('mtu 1400');
  });

  test('it and the CNI and Docker containers of its network on both nodes reach each other', async () => {
    await from(docker0, 'web', '9.0.0.2');
    await from(docker0, 'web', '9.0.1.2');
    await from(docker0, 'web', '9.0.1.130');
    await from(docker1, 'web6', 'fd01:b::1:0:0:2');
    await from(docker0, 'web6', 'fd01:b::1:0:0:2');
    await from(docker0, 'web6', 'fd01:b::1:8000:0:2');
    await from(docker0, 'two', '10.100.1.130');
    await from(docker0, 'two', 'fd02:0:0:1:8000::2');
    await ping(pod0, '9.0.0.130');
    await ping(pod0, '9.0.1.130');
    await ping(pod6, 'fd01:b::8000:0:2');
    expect(await sourceSeen(pod1, '9.0.0.130', node0, 'd-dcos')).toBe('9.0.1.2');
  });

  test('it and both nodes reach each other', async () => {
    await ping(node0, '9.0.0.130');
    await ping(node1, '9.0.0.130');
    await ping(node1, 'fd01:b::8000:0:2');
    await from(docker0, 'web', '172.17.0.2');
    await from(docker0, 'web', '172.17.0.3');
  });

  test('outside hosts see its node’s address, and cannot connect to it', async () => {
    const seenBy = async (name: string, to: string, filter: string) => {
      const seen = await capture(wire.outside, 'eth0', filter);
      await from(docker0, name, to);
      return / IP6? (\S+) > /.exec((await seen.packet()) ?? '')?.[1];
    };
    expect(await seenBy('web', '172.17.9.9', 'icmp[icmptype] = icmp-echo')).toBe('172.17.0.2');
    expect(await seenBy('two', 'fd00:17::99', 'icmp6 and ip6[40] = 128')).toBe('fd00:17::2');
    await keptOut(['9.0.0.130', '10.100.0.130', 'fd02::8000:0:0:2', 'fd01:b::8000:0:2']);
  });

  /** Tries both policies of FORWARD. A port without a listener would refuse a connection that reaches it. */
  async function keptOut(addresses: string[]): Promise<void> {
    for (const policy of ['ACCEPT', 'DROP']) {
      for (const program of ['iptables', 'ip6tables']) await node0.sh(`${program} -P FORWARD ${policy}`);
      const answers = addresses.map(async (address) => {
        const call = ['1', 'bash', '-c', `exec 3<>/dev/tcp/${address}/80`];
        const [{ code: ping }, { code: tcp }] = await Promise.all([
          wire.outside.try(`ping -n -q -c 1 -w 1 ${address}`),
          wire.outside.run('timeout', call),
        ]);
        return { address, ping, tcp };
      });
      const silence = addresses.map((address) => ({ address, ping: 1, tcp: 124 }));
      expect({ policy, answers: await Promise.all(answers) }).toEqual({ policy, answers: silence });
    }
  }

  test('outside hosts reach it through a published port', async () => {
    await docker0.docker(
      'run -d --net dcos -p 8080:80 --name published busybox nc -l -p 80 -e /bin/busybox uname',
    );
    const ask = ['5', 'bash', '-c', 'exec 3<>/dev/tcp/172.17.0.2/8080; cat <&3'];
    await eventually(
      async () => (await wire.outside.run('timeout', ask)).stdout,
      (text) => text === 'Linux\n',
    );
  });

  test('an IPv6-only network carries no IPv4', async () => {
    const routes = await node0.sh('ip route show');
    expect(routes).not.toMatch(/^24\d\./m);
    const { code } = await node0.try('ip -4 -o addr show dev d-dcos6 scope global');
    expect(code).toBe(0);
    expect(await node0.sh('ip -4 -o addr show dev d-dcos6')).toBe('');
    await expect(from(docker0, 'web6', '172.17.9.9', 1)).rejects.toThrow(
      /100% packet loss|Network is unreachable/,
    );
  });

  describe('between two overlays, where Docker’s rules must not decide', () => {
    const pairs = () =>
      Promise.all([
        from(docker0, 'web', '10.100.0.130'),
        from(docker1, 'web6', 'fd02:0:0:1:8000::2'),
        from(docker1, 'two', '9.0.1.130'),
        ping(pod0, '10.100.0.130'),
      ]);

    test('containers of one node reach each other', async () => {
      await pairs();
    });

    test('containers still reach each other after Docker has made another network and the agent has seen it', async () => {
      for (const engine of engines) await engine.docker('network create other');
      for (const [index, node] of wire.nodes.entries()) {
        await reconcile(node, index, engines[index]!);
        expect(await reconcile(node, index, engines[index]!)).toBe(0);
      }
      await pairs();
      // Docker's rules exist, but did not decide
      await docker0.container('alien', 'other');
      const alien = await docker0.docker('inspect -f {{.NetworkSettings.Networks.other.IPAddress}} alien');
      await expect(from(docker0, 'web', alien, 1)).rejects.toThrow('100% packet loss');
    });
  });

  test('an isolated overlay stays isolated, even if Docker’s rules would accept the packet', async () => {
    const networks = options.networks!.map((network) =>
      network.name === 'dual' ? { ...network, isolation: { mode: 'Isolated' as const } } : network,
    );
    for (const [index, node] of wire.nodes.entries()) {
      await reconcile(node, index, engines[index]!, { ...options, networks });
    }
    await from(docker0, 'two', '10.100.1.130');
    await from(docker0, 'two', 'fd02:0:0:1:8000::2');
    for (const [name, to] of [
      ['web', '10.100.0.130'],
      ['web', '10.100.1.130'],
      ['two', '9.0.0.130'],
      ['two', '9.0.1.2'],
      ['web6', 'fd02::8000:0:0:2'],
      ['two', 'fd01:b::1:8000:0:2'],
    ] as const) {
      await expect(from(docker0, name, to, 1)).rejects.toThrow('100% packet loss');
    }
    for (const [index, node] of wire.nodes.entries()) await reconcile(node, index, engines[index]!);
    await from(docker0, 'web', '10.100.0.130');
  });

  test('a restart of the engine keeps networks, bridges and rules', async () => {
    const networks = () => docker0.docker('network ls --no-trunc -q --filter label=dev.overlaynet.network');
    const before = [await networks(), await node0.sh('ip -br addr show type bridge')];
    await docker0.down();
    await docker0.up();
    await reconcile(node0, 0, docker0);
    expect(await reconcile(node0, 0, docker0)).toBe(0);
    expect([
      await networks(),
      (await node0.sh('ip -br addr show type bridge')).replaceAll('DOWN', 'UP  '),
    ]).toEqual([before[0], before[1]!.replaceAll('DOWN', 'UP  ')]);
    for (const name of ['web', 'two']) await docker0.docker(`start ${name}`);
    await from(docker0, 'web', '9.0.1.130');
    await ping(pod0, '9.0.0.130');
    await from(docker0, 'web', '10.100.0.130');
  });

  describe('while containers stay on a network that was deleted', () => {
    const isolated = options.networks!.map((network) =>
      network.name === 'dual' ? { ...network, isolation: { mode: 'Isolated' as const } } : network,
    );
    const all = cluster(2, 0, { networks: isolated });
    const ofDual = <T>(list: T[], name: (one: T) => string) => list.filter((one) => name(one) === 'dual');
    const removed: Snapshot = { ...all, networks: ofDual(all.networks, ({ metadata }) => metadata.name) };
    const deselected: Snapshot = {
      ...all,
      allocations: all.allocations.map(({ node, spec }) => ({
        node,
        spec: node === all.node ? { ...spec, networks: ofDual(spec.networks!, ({ name }) => name) } : spec,
      })),
    };

    beforeAll(async () => {
      await docker0.docker('start web6');
      // IPv6 has no rp_filter; without it, only our rules check sources
      for (const link of ['all', 'd-dcos', 'd-dcos6'])
        await node0.sh(`sysctl -qw net.ipv4.conf.${link}.rp_filter=0`);
      for (const [name, address] of [
        ['web', '10.100.0.140/32'],
        ['web6', 'fd02::8000:0:0:140/128'],
      ])
        await docker0.docker(
          `run --rm --cap-add NET_ADMIN --net container:${name} busybox ip addr add ${address} dev lo`,
        );
      await docker0.container('mate', 'dcos');
    });
    /** Returns whether packets that `name` sends from that address arrive at the network `dual`. */
    async function arrives(name: string, source: string, to: string): Promise<boolean> {
      const echo = to.includes(':') ? 'icmp6 and ip6[40] = 128' : 'icmp[icmptype] = icmp-echo';
      const seen = await capture(node0, 'd-dual', echo);
      await expect(
        docker0.docker(`exec ${name} /bin/busybox ping -c 1 -W 1 -I ${source} ${to}`),
      ).rejects.toThrow('100% packet loss');
      return (await seen.packet()) !== undefined;
    }

    test.each([
      ['its overlay was removed', removed],
      ['its node was deselected', deselected],
    ])('because %s, nobody can reach them, and they cannot forge addresses', async (_, snapshot) => {
      const { docker } = await apply(node0, docker0, snapshot);
      expect(docker.finding.reason).toBe('Blocked');
      await keptOut(['9.0.0.130', 'fd01:b::8000:0:2']);
      for (const [name, source, to] of [
        ['web', '10.100.0.140', '10.100.0.130'],
        ['web', '9.0.0.130', '10.100.0.130'],
        ['web6', 'fd02::8000:0:0:140', 'fd02::8000:0:0:2'],
        ['web6', 'fd01:b::8000:0:2', 'fd02::8000:0:0:2'],
      ] as const)
        expect([source, await arrives(name, source, to)]).toEqual([source, false]);
      const mate = await docker0.docker('inspect -f {{.NetworkSettings.Networks.dcos.IPAddress}} mate');
      await from(docker0, 'web', mate);
      await from(docker0, 'web', '172.17.0.2');
      await from(docker0, 'web', '172.17.9.9');
    });
  });
});

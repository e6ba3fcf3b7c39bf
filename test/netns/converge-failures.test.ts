import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataPath } from '../../src/linux/datapath.ts';
import { run, type Run } from '../../src/linux/run.ts';
import { silent } from '../../src/log.ts';
import { cluster } from '../support/cluster.ts';
import { recordingLog } from '../support/fixture.ts';
import type { Netns } from '../support/netns.ts';
import { messagesOf, settled, withDataPath } from '../support/uplinked.ts';

let netns: Netns;
let path: DataPath;

withDataPath((own, fresh) => {
  netns = own;
  path = fresh;
});

describe('a pass reports what it cannot do, and does the rest', () => {
  test('a VXLAN link with our name that is not ours', async () => {
    await netns.sh('ip link add vtep1024 type vxlan id 5 dstport 9999');
    const outcome = await path.reconcile(cluster(2, 0));
    expect(outcome.failures).toMatchObject([
      { message: expect.stringMatching(/vtep1024 .*not overlaynet's/) as string },
    ]);
    expect(await netns.sh('ip -d link show vtep1024')).toContain('vxlan id 5');
    expect(await netns.sh('ip addr show m-dcos')).toContain('9.0.0.1/25');
  });

  test('a bridge with our name that is not ours makes only its network fail', async () => {
    await netns.sh('ip link add m-dcos type bridge');
    const outcome = await path.reconcile(cluster(2, 0));
    expect(outcome.failures).toMatchObject([
      { network: 'dcos', message: expect.stringContaining('m-dcos') as string },
    ]);
    expect(await netns.sh('ip -o addr show')).not.toContain('m-dcos ');
    expect(await netns.sh('ip addr show m-dcos6')).toContain('fd01:b::1/81');
  });

  test('the UDP port in use', async () => {
    const script = 'process.stdin.resume().on("end", () => process.exit()); ';
    const bind = 'require("dgram").createSocket("udp4").bind(64000, () => console.log("bound"))';
    const listener = netns.spawn(process.execPath, ['-e', script + bind]);
    await listener.ready;
    const outcome = await path.reconcile(cluster(2, 0));
    await listener.stop();
    expect(outcome.failures).toMatchObject([
      { message: expect.stringContaining('Address already in use') as string },
    ]);
    expect(await path.reconcile(cluster(2, 0))).toMatchObject({ failures: [] });
    expect(await path.reconcile(cluster(2, 0))).toMatchObject(settled);
  });

  test('foreign routes and nexthops in the way', async () => {
    await netns.sh('ip route add 9.0.1.0/24 via 172.17.9.9');
    await netns.sh('ip nexthop add id 1979711491 via 172.17.9.9 dev eth0');
    const outcome = await path.reconcile(cluster(3, 0));
    expect(outcome.failures).toMatchObject([
      { message: expect.stringMatching(/nexthop 1979711491.*fd01:a::3.*not overlaynet's/) as string },
      { network: 'dcos', message: expect.stringContaining('File exists (route add 9.0.1.0/24') as string },
    ]);
    expect(await netns.sh('ip route show 9.0.1.0/24')).toContain('via 172.17.9.9');
    expect(await netns.sh('ip route show 9.0.2.0/24')).toContain('via 44.128.0.3');
  });

  test('a tool that fails or is missing', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'ovt-'));
    const broken =
      (program: string): Run =>
      (name, args, options) =>
        netns.run(name === program ? join(dir, name) : name, args, options);
    try {
      writeFileSync(join(dir, 'ip'), '#!/bin/sh\necho "ip: out of order" >&2\nexit 3\n', { mode: 0o755 });
      const failing = await new DataPath({ log: silent, run: broken('ip') }).reconcile(cluster(2, 0));
      expect(messagesOf(failing)).toContain('ip: out of order');
      // changes that do not need ip were made
      expect(await netns.sh('ipset list -n')).toContain('overlaynet-overlays-4');
      const missing: Run = (name, args, options) =>
        name === 'ipset' ? run(join(dir, 'ipset'), args, options) : netns.run(name, args, options);
      const outcome = await new DataPath({ log: silent, run: missing }).reconcile(cluster(2, 0));
      expect(messagesOf(outcome)).toMatch(/ipset: not found/);
      expect(await netns.sh('ip route show 9.0.1.0/24')).toContain('via 44.128.0.2');
    } finally {
      rmSync(dir, { recursive: true });
    }
    expect(await path.reconcile(cluster(2, 0))).toMatchObject({ failures: [] });
  });
});

describe('a pass that changes something is logged at info, one that only fails again at debug', () => {
  let log: ReturnType<typeof recordingLog>;
  beforeEach(() => {
    log = recordingLog();
  });
  const levels = () => log.lines.flatMap((line) => /^(\w+) data path changed/.exec(line)?.[1] ?? []);

  test('several changes that fail alike', async () => {
    const nodes = [1, 2, 3, 4, 5];
    for (const node of nodes) await netns.sh(`ip route add 9.0.${node}.0/24 via 172.17.9.9`);
    const own = new DataPath({ log, run: netns.run });
    for (let pass = 0; pass < 3; pass++) await own.reconcile(cluster(7, 0));
    expect(levels()).toEqual(['info', 'debug', 'debug']);
    await netns.sh('ip route del 9.0.6.0/24');
    await own.reconcile(cluster(7, 0));
    expect(levels()).toEqual(['info', 'debug', 'debug', 'info']);
  });

  test('rules of an isolated network that cannot be written', async () => {
    const refusing: Run = (name, args, options) =>
      name.endsWith('-restore')
        ? Promise.resolve({ stdout: '', stderr: 'Permission denied', code: 4 })
        : netns.run(name, args, options);
    const own = new DataPath({ log, run: refusing });
    const subnets = [{ cidr: '9.0.0.0/8', prefix: 24 }];
    const isolated = cluster(2, 0, {
      networks: [{ name: 'dcos', subnets, isolation: { mode: 'Isolated' } }],
    });
    for (let pass = 0; pass < 3; pass++) await own.reconcile(isolated);
    expect(levels()).toEqual(['info', 'debug', 'debug']);
  });

  test('one change on a node that lacks something for good', async () => {
    await netns.sh('sysctl -qw net.ipv6.conf.all.disable_ipv6=1');
    const own = new DataPath({ log, run: netns.run, sysctl: netns.readSwitch });
    for (let pass = 0; pass < 2; pass++) await own.reconcile(cluster(3, 0));
    expect(levels()).toEqual(['info']);
    await netns.sh('ip route del 9.0.2.0/24');
    expect(await own.reconcile(cluster(3, 0))).toMatchObject({ changes: 1, failures: [{ lasting: true }] });
    expect(levels()).toEqual(['info', 'info']);
  });
});

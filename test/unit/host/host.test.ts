import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Host } from '../../../src/host/host.ts';
import type { Run } from '../../../src/linux/run.ts';
import { silent } from '../../../src/log.ts';
import { dcos, recordingLog, snapshot } from '../../support/fixture.ts';

/** nft, on a node without a table. */
const run: Run = () => Promise.resolve({ stdout: '{"nftables": []}', stderr: '', code: 0 });
const links = () => new Set(['lo', 'kube-ipvs0']);
const isolated = snapshot({
  networks: [{ ...dcos, spec: { ...dcos.spec, isolation: { mode: 'Isolated' } } }],
});
/** Of a host whose sysctls are not looked at. */
const reasons = (host: Host) =>
  host.problems.map(({ reason }) => reason).filter((reason) => reason !== 'SwitchedOff');

test.each([
  ['4.18.0-553.el8.x86_64', ['KernelTooOld']],
  ['5.4.0-200-generic', ['KernelTooOld']],
  ['5.10.0', []],
  ['5.15.0-91-generic', []],
  ['6.1.0-18-amd64', []],
  ['10.0-rc1', []],
])('kernel %s', (release, told) => {
  expect(reasons(new Host({ log: silent, release, sysctls: '/nonexistent' }))).toEqual(told);
});

test('kube-proxy’s IPVS mode is reported while a network is isolated', async () => {
  const log = recordingLog();
  const host = new Host({ log, run, links, release: '6.18.0', sysctls: '/nonexistent' });
  await host.look(snapshot());
  expect(reasons(host)).toEqual([]);
  await host.look(isolated);
  expect(reasons(host)).toEqual(['IPVS']);
  expect(host.problems.at(-1)?.message).toMatch(
    /^kube-proxy runs in IPVS mode \(link kube-ipvs0\): .*isolation of dcos/,
  );
  // once, not at each look
  await host.look(isolated);
  expect(log.lines.filter((line) => line.includes('IPVS'))).toEqual([
    expect.stringMatching(
      /^warn .* object="kube-ipvs0" command="ip link show" output="kube-proxy runs in IPVS mode .*reason="IPVS"$/,
    ),
  ]);
  const other = new Host({
    log,
    run,
    links: () => new Set(['lo']),
    release: '6.18.0',
    sysctls: '/nonexistent',
  });
  await other.look(isolated);
  expect(reasons(other)).toEqual([]);
});

test.each([
  ['262144', '235929', []],
  ['262144', '235930', ['ConnectionsFull']],
  ['262144', '262144', ['ConnectionsFull']],
])('a table for %s connections that holds %s is told of as %j', async (most, count, told) => {
  const sysctls = mkdtempSync(join(tmpdir(), 'overlaynet-host-'));
  mkdirSync(join(sysctls, 'net/netfilter'), { recursive: true });
  writeFileSync(join(sysctls, 'net/netfilter/nf_conntrack_max'), `${most}\n`);
  writeFileSync(join(sysctls, 'net/netfilter/nf_conntrack_count'), `${count}\n`);
  const host = new Host({ log: silent, run, links: () => new Set(), release: '6.18.0', sysctls });
  await host.look(undefined);
  expect(reasons(host)).toEqual(told);
  // who reads it every time sees the same until the next look: else each connection would change the condition
  rmSync(sysctls, { recursive: true });
  expect(reasons(host)).toEqual(told);
});

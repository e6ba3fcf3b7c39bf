import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { UsageCounter } from '../../../src/use/counter.ts';
import type { AllocatedNetwork } from '../../../src/api/types.ts';
import { isWorthReporting, usageOf, usageText } from '../../../src/use/usage.ts';

const dcos: AllocatedNetwork = {
  name: 'dcos',
  subnets: [{ cidr: '9.0.1.0/26', bridges: { cni: '9.0.1.0/27', docker: '9.0.1.32/27' } }],
};
const addresses = (count: number, first = 2) =>
  Array.from({ length: count }, (_, at) => `9.0.1.${at + first}`);
const count = (pods: number, containers = 0) =>
  usageOf([dcos], { cni: () => addresses(pods), docker: () => addresses(containers, 34) });
const at80 = () => 80;

test('a /26 with both containerizers has 29 addresses for pods and 29 for Docker, and leases of others do not count', () => {
  const usage = usageOf([dcos], { cni: () => ['9.0.1.2', '9.9.9.9'], docker: () => ['9.0.1.34'] });
  expect(usage.get('dcos')).toEqual([
    { cidr: '9.0.1.0/27', containerizer: 'CNI', addresses: 29, used: 1, free: 28 },
    { cidr: '9.0.1.32/27', containerizer: 'Docker', addresses: 29, used: 1, free: 28 },
  ]);
  expect(usageText(usage)).toBe(
    'dcos 9.0.1.0/27 (CNI): 1 of 29 used; dcos 9.0.1.32/27 (Docker): 1 of 29 used',
  );
});

test('a part of IPv6 loses two addresses, and more than can be counted are 2^53 - 1', () => {
  const six = (cni: string) =>
    usageOf([{ name: 'six', subnets: [{ cidr: cni, bridges: { cni } }] }], {
      cni: () => [],
      docker: () => [],
    }).get('six')![0]!.addresses;
  expect(six('fd01:b::/124')).toBe(14);
  expect(six('fd01:b::/64')).toBe(Number.MAX_SAFE_INTEGER);
});

test('while the users of addresses are unknown, the last count stays', () => {
  const before = count(3, 5);
  const now = usageOf([dcos], { cni: () => addresses(7), docker: () => undefined }, before);
  expect(now.get('dcos')!.map(({ used }) => used)).toEqual([7, 5]);
});

test('another tenth, the threshold of the network, and the last address are news; one more container is not', () => {
  expect(isWorthReporting(count(3), count(5), at80)).toBe(false);
  expect(isWorthReporting(count(5), count(6), at80)).toBe(true);
  expect(isWorthReporting(count(24), count(25), () => 84)).toBe(true);
  expect(isWorthReporting(count(24), count(25), at80)).toBe(false);
  expect(isWorthReporting(count(28), count(29), at80)).toBe(true);
  expect(isWorthReporting(new Map(), count(0), at80)).toBe(true);
});

describe('an agent', () => {
  let dir: string;
  const counted = { allocated: [dcos], networks: [] };
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ovt-usage-'));
    mkdirSync(join(dir, 'dcos'));
    for (const file of ['lock', 'last_reserved_ip.0']) writeFileSync(join(dir, 'dcos', file), '');
  });
  afterEach(() => {
    jest.useRealTimers();
    rmSync(dir, { recursive: true });
  });
  const lease = (...all: string[]) => {
    for (const address of all) writeFileSync(join(dir, 'dcos', address), 'id\neth0');
  };
  const used = (usage: UsageCounter) => usage.reported?.get('dcos')?.map((one) => one.used);

  test('says at most once a minute how full it is, and nothing that an agent before it has said', async () => {
    jest.useFakeTimers({ now: 0 });
    const shown: number[] = [];
    const usage = new UsageCounter({
      leaseDir: dir,
      docker: undefined,
      onCount: (all) => shown.push(all.get('dcos')![0]!.used),
    });
    expect(usage.reported).toBeUndefined();
    lease(...addresses(6));
    expect((await usage.look(counted, undefined)).changed).toBe(true);
    expect(used(usage)).toEqual([6, 0]);
    lease(...addresses(12));
    expect((await usage.look(counted, undefined)).changed).toBe(false);
    expect(used(usage)).toEqual([6, 0]);
    jest.advanceTimersByTime(60_000);
    expect((await usage.look(counted, undefined)).changed).toBe(true);
    expect(used(usage)).toEqual([12, 0]);
    expect(shown).toEqual([6, 12, 12]);

    const next = new UsageCounter({ leaseDir: dir, docker: undefined, onCount: () => undefined });
    const status = {
      networks: [{ name: 'dcos', state: 'OK' as const, usage: [...usage.reported!.get('dcos')!] }],
    };
    expect((await next.look(counted, status)).changed).toBe(false);
    expect(used(next)).toEqual([12, 0]);
  });

  test("asks the engine for its half, and keeps an engine's last word", async () => {
    let endpoints: { network: string; container: string; addresses: string[] }[] | undefined;
    const docker = { endpoints: () => Promise.resolve(endpoints) };
    const usage = new UsageCounter({ leaseDir: dir, docker, onCount: () => undefined });
    await usage.look(counted, undefined);
    expect(usage.text(counted)).toBe('dcos 9.0.1.0/27 (CNI): 0 of 29 used');
    endpoints = [{ network: 'dcos', container: 'web', addresses: ['9.0.1.34'] }];
    await usage.look(counted, undefined);
    endpoints = undefined;
    await usage.look(counted, undefined);
    expect(usage.text(counted)).toContain('dcos 9.0.1.32/27 (Docker): 1 of 29 used');
  });
});

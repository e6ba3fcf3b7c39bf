import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Run } from '../../../src/linux/run.ts';
import { forwarding, installSystem } from '../../../src/linux/system.ts';
import { uplinkMTU } from '../../../src/linux/uplink.ts';
import { silent } from '../../../src/log.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ovt-sys-'));
  mkdirSync(join(root, 'net/ipv4'), { recursive: true });
  mkdirSync(join(root, 'net/ipv6/conf/all'), { recursive: true });
  writeFileSync(join(root, 'net/ipv4/ip_forward'), '0\n');
  writeFileSync(join(root, 'net/ipv6/conf/all/forwarding'), '0\n');
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

const noModules: Run = () => Promise.resolve({ stdout: '', stderr: 'Module not found', code: 1 });

test('forwarding that is off is told in words, and switched on by the installation', async () => {
  expect(forwarding(root)).toEqual([
    'net.ipv4.ip_forward is 0: packets of containers are not forwarded; set it to 1',
    'net.ipv6.conf.all.forwarding is 0: packets of containers are not forwarded; set it to 1',
  ]);
  await installSystem(silent, noModules, root);
  expect(forwarding(root)).toEqual([]);
  expect(readFileSync(join(root, 'net/ipv4/ip_forward'), 'utf8')).toBe('1\n');
});

test('a kernel without IPv6 needs no IPv6 forwarding', () => {
  rmSync(join(root, 'net/ipv6'), { recursive: true });
  writeFileSync(join(root, 'net/ipv4/ip_forward'), '1\n');
  expect(forwarding(root)).toEqual([]);
});

test("the uplink's MTU is the smallest of the links that have the node's addresses", async () => {
  const links = [
    { ifname: 'eth0', mtu: 9000, addr_info: [{ local: '172.17.0.2' }] },
    { ifname: 'eth1', mtu: 1500, addr_info: [{ local: 'fd00:17::2' }] },
  ];
  const run: Run = () => Promise.resolve({ stdout: JSON.stringify(links), stderr: '', code: 0 });
  expect(await uplinkMTU(['172.17.0.2'], run)).toBe(9000);
  expect(await uplinkMTU(['172.17.0.2', 'fd00:17::2'], run)).toBe(1500);
  await expect(uplinkMTU(['10.0.0.1'], run)).rejects.toThrow('no link of this node has the address 10.0.0.1');
});

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { AgentAllocationSpec } from '../../src/api/types.ts';

/**
 * Measures the kernel's own time: it adds the entries for the peers on stdin, in batches. Run it in its own network
 * namespace; it prints milliseconds.
 */

function batch(program: 'ip' | 'bridge', lines: readonly string[]): void {
  const input = `${lines.join('\n')}\n`;
  const { status, stderr } = spawnSync(program, ['-batch', '-'], { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} -batch: ${stderr.slice(0, 500)}`);
}

const fdb: string[] = [];
const entries: string[] = [];
const peers = JSON.parse(readFileSync(0, 'utf8')) as AgentAllocationSpec[];
peers.forEach(({ vtep, networks = [], addresses: [address = ''] }, at) => {
  if (vtep?.ip === undefined || vtep.ip6 === undefined) return;
  const [v4, v6] = [2 * at + 1, 2 * at + 2];
  fdb.push(`fdb add ${vtep.mac} dev vtep1024 dst ${address} self permanent`);
  for (const [id, text] of [
    [v4, vtep.ip],
    [v6, vtep.ip6],
  ] as const) {
    const ip = text.replace(/\/.*/, '');
    entries.push(`neigh add ${ip} lladdr ${vtep.mac} dev vtep1024 nud permanent`);
    entries.push(`nexthop add id ${id} via ${ip} dev vtep1024`);
  }
  entries.push(`route add ${address} nhid ${v4} table 42`);
  for (const { cidr } of networks.flatMap(({ subnets }) => subnets)) {
    entries.push(`route add ${cidr} nhid ${cidr.includes(':') ? v6 : v4}`);
  }
});

batch('ip', [
  'link set lo up',
  'link add up0 type veth peer name up1',
  'addr add 172.18.255.1/16 dev up0',
  'link set up0 up',
  'link set up1 up',
]);
const start = performance.now();
batch('ip', [
  'link add vtep1024 type vxlan id 1024 dstport 64000 local 172.18.255.1 nolearning',
  'link set vtep1024 up',
  'addr add 44.128.63.254/18 dev vtep1024',
  'addr add fd01:a::ffff/64 dev vtep1024 nodad',
]);
batch('bridge', fdb);
batch('ip', entries);
process.stdout.write(String(performance.now() - start));

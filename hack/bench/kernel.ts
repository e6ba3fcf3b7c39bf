import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentAllocation } from '../../src/api/types.ts';

/** What the kernel of the bench's namespace holds of each kind of entry. */
export interface Entries {
  routes: number;
  neighbours: number;
  fdb: number;
}

const lines = (program: string, args: string[]): number =>
  spawnSync(program, args, { encoding: 'utf8', maxBuffer: 2 ** 28 }).stdout.split('\n').length - 1;

export function count(): Entries {
  const link = ['dev', 'vtep1024'];
  return {
    routes:
      lines('ip', ['-4', 'route', 'show', 'table', 'all', ...link]) +
      lines('ip', ['-6', 'route', 'show', 'table', 'all', ...link]),
    neighbours: lines('ip', ['neigh', 'show', 'nud', 'permanent', ...link]),
    fdb: lines('bridge', ['fdb', 'show', ...link]),
  };
}

/** Watches the kernel's own notifications, so that nobody's word is taken for when the last entry was there. */
export class Monitor {
  /** When the kernel last told of a change, by performance.now(). */
  last = 0;
  private readonly child: ChildProcess;
  private readonly seen: ((text: string) => void)[] = [];

  constructor() {
    this.child = spawn('ip', ['monitor', 'route', 'neigh', 'nexthop'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.last = performance.now();
      if (this.seen.length > 0) for (const tell of this.seen) tell(chunk.toString());
    });
  }

  /** Resolves when nothing has changed for `quietMs`, with the time of the last change. */
  async quiet(quietMs: number): Promise<number> {
    while (this.last === 0 || performance.now() - this.last < quietMs) await sleep(20);
    return this.last;
  }

  /** The time at which a route to `subnet` was told of. */
  route(subnet: string): Promise<number> {
    let text = '';
    return new Promise((resolve) => {
      const tell = (chunk: string) => {
        text += chunk;
        if (!text.split('\n').some((line) => line.startsWith(`${subnet} nhid`))) return;
        this.seen.splice(this.seen.indexOf(tell), 1);
        resolve(performance.now());
      };
      this.seen.push(tell);
    });
  }

  stop(): void {
    this.child.kill();
  }
}

/** The same entries by `ip -batch` and `bridge -batch` alone, in a namespace of their own: what the kernel itself takes. */
export function floor(allocations: readonly AgentAllocation[]): number {
  const name = `ovb-floor-${process.pid}`;
  const at = (program: string, args: string[], input = '') => {
    const { status, stderr } = spawnSync(program, ['-n', name, ...args], {
      input,
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    });
    if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr.slice(0, 500)}`);
  };
  spawnSync('ip', ['netns', 'add', name]);
  try {
    at(
      'ip',
      ['-batch', '-'],
      'link set lo up\nlink add up0 type veth peer name up1\naddr add 172.18.255.1/16 dev up0\nlink set up0 up\nlink set up1 up\n',
    );
    const fdb: string[] = [];
    const entries: string[] = [];
    let id = 1;
    for (const { spec } of allocations) {
      const { vtep, networks = [], addresses } = spec;
      if (vtep?.ip === undefined || vtep.ip6 === undefined) continue;
      const [ip, ip6] = [vtep.ip, vtep.ip6].map((text) => text.replace(/\/.*/, '')) as [string, string];
      fdb.push(`fdb add ${vtep.mac} dev vtep1024 dst ${addresses[0] ?? ''} self permanent`);
      entries.push(`neigh add ${ip} lladdr ${vtep.mac} dev vtep1024 nud permanent`);
      entries.push(`neigh add ${ip6} lladdr ${vtep.mac} dev vtep1024 nud permanent`);
      entries.push(
        `nexthop add id ${id} via ${ip} dev vtep1024`,
        `nexthop add id ${id + 1} via ${ip6} dev vtep1024`,
      );
      entries.push(`route add ${addresses[0] ?? ''} nhid ${id} table 42`);
      for (const { subnets } of networks) {
        for (const { cidr } of subnets)
          entries.push(`route add ${cidr} nhid ${cidr.includes(':') ? id + 1 : id}`);
      }
      id += 2;
    }
    const start = performance.now();
    at(
      'ip',
      ['-batch', '-'],
      'link add vtep1024 type vxlan id 1024 dstport 64000 local 172.18.255.1 nolearning\nlink set vtep1024 up\n' +
        'addr add 44.128.63.1/18 dev vtep1024\naddr add fd01:a::ffff/64 dev vtep1024 nodad\n',
    );
    const { status, stderr } = spawnSync('bridge', ['-n', name, '-batch', '-'], {
      input: `${fdb.join('\n')}\n`,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`bridge -batch: ${stderr.slice(0, 500)}`);
    at('ip', ['-batch', '-'], `${entries.join('\n')}\n`);
    return performance.now() - start;
  } finally {
    spawnSync('ip', ['netns', 'del', name]);
  }
}

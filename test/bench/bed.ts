import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentAllocation, OverlayAgent, OverlayNetwork } from '../../src/api/types.ts';
import { Informer } from '../../src/kube/informer.ts';
import {
  agentAllocations,
  nodes,
  overlayAgents,
  overlayNetworks,
  type Node,
} from '../../src/kube/resources.ts';
import { startControlPlane, type OwnControlPlane } from '../support/controlplane.ts';
import { TempDir } from '../support/kubeprocess.ts';
import { environmentOf } from '../../hack/build.ts';
import { inParallel } from '../../src/operator/parallel.ts';

const root = join(import.meta.dirname, '..', '..');

/** The node whose agent is measured. Its kernel is the bench's own network namespace. */
export const self = { name: 'node-self', address: '172.18.255.1' };

/** Initial objects of a bed; by default the samples' two networks, and room for 5,000 nodes. */
export interface Furnishing {
  vtepSubnets: string[];
  /** Number of OverlayNetworks with one subnet each, /24 a node; absent: the samples' two. */
  networks?: number;
}

const usual: Furnishing = { vtepSubnets: ['44.128.0.0/18', 'fd01:a::/64'] };

/** A control plane with our CRDs and networks, and the measured processes. */
export class Bed {
  readonly plane: OwnControlPlane;
  readonly #temp = new TempDir('ovb-');
  readonly #dir = this.#temp.path;
  readonly allocations: Informer<AgentAllocation>;
  readonly #children: ChildProcess[] = [];
  readonly #operators = new Map<string, ChildProcess>();

  private constructor(plane: OwnControlPlane) {
    this.plane = plane;
    this.allocations = new Informer(plane.client, agentAllocations);
  }

  static async start({ vtepSubnets, networks }: Furnishing = usual): Promise<Bed> {
    const bed = new Bed(await startControlPlane({ large: true }));
    const { plane } = bed;
    await plane.kubectl('apply', '--server-side', '-k', join(root, 'crds'));
    await plane.kubectl('wait', '--for=condition=Established', '--timeout=20s', 'crd', '--all');
    await plane.kubectl('create', 'namespace', 'overlaynet-system');
    const config = {
      apiVersion: agentAllocations.apiVersion,
      kind: 'OverlayConfig',
      metadata: { name: 'default' },
      spec: { vtepSubnets },
    };
    await bed.#applyJSON(config);
    const samples = join(root, 'deploy', 'samples', 'overlay.yaml');
    if (networks === undefined) await plane.kubectl('apply', '--server-side', '-f', samples);
    for (let at = 0; at < (networks ?? 0); at++) await bed.addNetwork(at);
    bed.allocations.start();
    await bed.allocations.synced();
    return bed;
  }

  /** A file in the bed's directory. */
  file(name: string): string {
    return join(this.#dir, name);
  }

  async #applyJSON(object: object): Promise<void> {
    const file = join(this.#dir, 'object.json');
    writeFileSync(file, JSON.stringify(object));
    await this.plane.kubectl('apply', '--server-side', '-f', file);
  }

  /** Makes Nodes with registered agents, from number `from` up to but not including `to`. */
  async register(from: number, to: number): Promise<void> {
    const numbers = Array.from({ length: to - from }, (_, at) => from + at);
    await inParallel(numbers, (at) => this.join(`node-${at}`, `172.18.${at >> 8}.${at & 255}`));
  }

  /** Adds the network `scale-AT` with its own /8. */
  async addNetwork(at: number): Promise<void> {
    await this.plane.client.create<OverlayNetwork>(overlayNetworks, {
      apiVersion: overlayNetworks.apiVersion,
      kind: overlayNetworks.kind,
      metadata: { name: `scale-${at}` },
      spec: { subnets: [{ cidr: `${60 + at}.0.0.0/8`, prefix: 24 }] } as OverlayNetwork['spec'],
    });
  }

  async join(name: string, address: string): Promise<void> {
    await this.addNode(name, address);
    if (name !== self.name) await this.registerAgent(name, address);
  }

  async addNode(name: string, address: string): Promise<void> {
    const { client } = this.plane;
    const node = await client.create<Node>(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name } });
    await client.updateStatus<Node>(nodes, {
      ...node,
      status: { addresses: [{ type: 'InternalIP', address }] },
    });
  }

  async registerAgent(name: string, address: string): Promise<void> {
    await this.plane.client.create<OverlayAgent>(overlayAgents, {
      apiVersion: overlayAgents.apiVersion,
      kind: overlayAgents.kind,
      metadata: { name },
      spec: { addresses: [address], uplinkMTU: 1500 },
    });
  }

  get filled(): number {
    return this.allocations.list().filter(({ spec }) => (spec.networks?.length ?? 0) === 2).length;
  }

  async allFilled(count: number): Promise<number> {
    while (this.filled < count) await sleep(10);
    return performance.now();
  }

  /** Runs one of our programs until the bed stops; resolves when it has printed its first line. */
  async play(script: string, ...args: string[]): Promise<void> {
    const program = [
      '--pdeathsig',
      'KILL',
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      script,
    ];
    const child = spawn('setpriv', [...program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.push(child);
    await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(([code]) => {
        throw new Error(`${script} ended with ${String(code)} before it printed anything`);
      }),
    ]);
  }

  /** Starts dist/NAME.js; each line of its output is passed to `onLine`. */
  run(
    name: 'operator' | 'agent',
    args: string[],
    onLine: (line: string) => void = () => undefined,
  ): ChildProcess {
    const program = ['--pdeathsig', 'KILL', process.execPath, join(root, 'dist', `${name}.js`)];
    const child = spawn('setpriv', [...program, ...args, '--kubeconfig', this.plane.kubeconfig], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...environmentOf(name) },
    });
    let rest = '';
    child.stderr.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    });
    this.#children.push(child);
    return child;
  }

  /** `leads` resolves with the time at which the operator logs that it leads. */
  operator(identity: string, port: number, ...flags: string[]): { leads: Promise<number> } {
    let lead!: (at: number) => void;
    const leads = new Promise<number>((resolve) => {
      lead = resolve;
    });
    const args = ['--identity', identity, '--listen', `127.0.0.1:${port}`, ...flags];
    const child = this.run('operator', args, (line) => {
      if (/ operator leading /.test(line)) lead(performance.now());
      else if (/ (warn|error) /.test(line)) process.stderr.write(`  ${identity}: ${line}\n`);
    });
    this.#operators.set(identity, child);
    return { leads };
  }

  async killOperator(identity: string): Promise<void> {
    const child = this.#operators.get(identity);
    if (child !== undefined) await end(child, 'SIGKILL');
    this.#operators.delete(identity);
  }

  /** Returns the resident memory of a running operator in MB: the current one, and its peak. */
  memory(identity: string): { resident: number; peak: number } {
    const child = this.#operators.get(identity);
    if (child === undefined) throw new Error(`no operator ${identity} runs`);
    return { resident: residentMB(child), peak: residentMB(child, 'VmHWM') };
  }

  /** Returns the number of requests that the API server has served, by verb and resource: `LIST nodes`. */
  async requests(verbs: readonly string[]): Promise<Map<string, number>> {
    const text = await this.plane.client.raw({
      what: 'read /metrics',
      method: 'GET',
      path: '/metrics',
      accept: '*/*',
    });
    const sums = new Map<string, number>();
    for (const [, labels = '', value] of text.matchAll(/^apiserver_request_total\{(.*)\} (\S+)$/gm)) {
      const label = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
      if (!verbs.includes(label('verb'))) continue;
      const what = `${label('verb')} ${label('resource')}`;
      sums.set(what, (sums.get(what) ?? 0) + Number(value));
    }
    return sums;
  }

  /** The agent's directories, inside the bench's own directory. */
  get #directories(): string[] {
    return [
      ['--state-dir', 'state'],
      ['--cni-conf-dir', 'cni/overlaynet.d'],
      ['--cni-net-dir', 'cni/net.d'],
      ['--lease-dir', 'leases'],
      ['--run-dir', 'run'],
    ].flatMap(([flag = '', dir = '']) => [flag, join(this.#dir, dir)]);
  }

  cleanKernel(): void {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(root, 'dist', 'agent.js'), 'cleanup', ...this.#directories],
      {
        encoding: 'utf8',
      },
    );
    if (status !== 0) throw new Error(`agent cleanup: ${stderr}`);
  }

  agent(onLine: (line: string) => void = () => undefined): ChildProcess {
    mkdirSync(join(this.#dir, 'cni'), { recursive: true });
    return this.run(
      'agent',
      ['run', '--node', self.name, '--addresses', self.address, ...this.#directories],
      onLine,
    );
  }

  async stop(): Promise<void> {
    for (const child of this.#children) await end(child, 'SIGTERM');
    await this.allocations.stop();
    await this.plane.stop();
    this.cleanKernel();
    await this.#temp.remove();
  }
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

/** Returns a process's resident memory in MB: the current one, or its peak. */
export function residentMB(child: ChildProcess, which: 'VmRSS' | 'VmHWM' = 'VmRSS'): number {
  const status = readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8');
  return Number(new RegExp(`${which}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024;
}

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentAllocation } from '../../src/api/types.ts';
import { agentAllocations } from '../../src/kube/resources.ts';
import { inParallel } from '../../src/operator/parallel.ts';
import type { Bed } from './bed.ts';
import { end, residentMB, self } from './bed.ts';
import { count, floor, Monitor } from './kernel.ts';
import { ms, quantile, type Figure } from './table.ts';

/** All `count` registrations exist when the operator starts. The floor writes as many objects, twice each. */
export async function burst(bed: Bed, peers: number): Promise<Figure[]> {
  const bare = await bareLoop(bed, peers);
  await bed.register(0, peers);
  const { leads } = bed.operator('first', 9180);
  const start = await leads;
  const took = (await bed.allFilled(peers)) - start;
  const largest = Math.max(...bed.allocations.list().map(({ spec }) => JSON.stringify(spec).length));
  return [
    {
      what: `allocation burst, ${peers} registrations`,
      measured: ms(took),
      floor: ms(bare),
      ratio: took / bare,
      bound: '2 × floor',
      ok: took <= 2 * bare,
    },
    {
      what: `AgentAllocation of two networks`,
      measured: `${largest} B`,
      bound: '1 KB of spec',
      ok: largest < 1_024,
    },
  ];
}

/** Creates and updates each object once (the update is conditional), with the same client and concurrency. */
async function bareLoop(bed: Bed, objects: number): Promise<number> {
  const { client } = bed.plane;
  const numbers = Array.from({ length: objects }, (_, at) => at);
  const subnets = (whole: string, half: string) => [{ cidr: whole, bridges: { cni: half, docker: half } }];
  const start = performance.now();
  await inParallel(numbers, async (at) => {
    const empty = { revision: 1, nodeUID: randomUUID(), addresses: [`172.18.${at >> 8}.${at & 255}`] };
    const stored = await client.create<AgentAllocation>(agentAllocations, {
      apiVersion: agentAllocations.apiVersion,
      kind: agentAllocations.kind,
      metadata: { name: `floor-${at}` },
      spec: empty,
    });
    const spec: AgentAllocation['spec'] = {
      ...empty,
      revision: 2,
      vtep: { ip: '44.128.16.16/18', ip6: 'fd01:a::1616/64', mac: '70:b3:d5:80:16:16' },
      networks: [
        { name: 'dcos', subnets: subnets('9.100.100.0/24', '9.100.100.128/25') },
        { name: 'dcos6', subnets: subnets('fd01:b:0:0:1616::/80', 'fd01:b::1616:8000:0:0/81') },
      ],
    };
    await client.update(agentAllocations, { ...stored, spec });
  });
  const took = performance.now() - start;
  await inParallel(numbers, async (at) => {
    await client.delete(agentAllocations, `floor-${at}`);
  });
  return took;
}

/** Allowed time of a cold start with that many peers, in ms, on two otherwise idle cores. */
const coldMs = (peers: number) => (peers <= 200 ? 500 : peers <= 1_000 ? 700 : 2_000);
/** Allowed memory of an agent with 5,000 peers. */
const mostMB = 120;

/** Measures the time from the start of the agent's process to the last entry in its kernel. */
export async function coldAgent(bed: Bed, peers: number): Promise<Figure[]> {
  await bed.join(self.name, self.address);
  const others = bed.allocations.list().filter(({ metadata }) => metadata.name !== self.name);
  const bare = floor(others);
  // registered and allocated before the measured run
  let processes = 0;
  const first = bed.agent();
  await bed.allFilled(peers + 1);
  await end(first, 'SIGTERM');
  bed.cleanKernel();
  const monitor = new Monitor();
  await sleep(300);
  const start = performance.now();
  const agent = bed.agent((line) => {
    processes = Math.max(processes, Number(/ processes=(\d+)/.exec(line)?.[1] ?? 0));
    if (/ (warn|error) /.test(line)) process.stderr.write(`  agent: ${line}\n`);
  });
  const took = (await monitor.quiet(2_500)) - start;
  monitor.stop();
  const { routes, neighbours, fdb } = count();
  const complete = routes >= 3 * peers && neighbours >= 2 * peers && fdb >= peers;
  const resident = residentMB(agent);
  const figures: Figure[] = [
    {
      what: `cold agent, ${peers} peers, to the last of ${routes + neighbours + fdb} entries`,
      measured: ms(took),
      floor: ms(bare),
      ratio: took / bare,
      bound: ms(coldMs(peers)),
      ok: complete && took <= coldMs(peers),
    },
    {
      what: `processes in that run, ${peers} peers`,
      measured: String(processes),
      bound: 'the same for any',
      ok: processes > 0,
    },
  ];
  if (peers >= 5_000) {
    figures.push({
      what: `agent's resident memory, ${peers} peers`,
      measured: `${resident.toFixed(0)} MB`,
      bound: `${mostMB} MB`,
      ok: resident <= mostMB,
    });
  }
  return figures;
}

/** Measures the time from a node's registration to its route in a running agent's kernel. */
export async function joins(bed: Bed, peers: number, samples: number): Promise<Figure[]> {
  const monitor = new Monitor();
  const times: number[] = [];
  for (let at = 0; at < samples; at++) {
    const name = `late-${at}`;
    const route = monitor.route(`9.0.${peers + 1 + at}.0/24`);
    const start = performance.now();
    await bed.join(name, `172.18.${128 + (at >> 8)}.${at & 255}`);
    times.push((await route) - start);
    await sleep(50 + Math.random() * 100);
  }
  monitor.stop();
  const p99 = quantile(times, 0.99);
  return [
    {
      what: `one join among ${peers}, ${samples} times: p50, p99`,
      measured: `${ms(quantile(times, 0.5))}, ${ms(p99)}`,
      bound: 'p99 1 s',
      ok: p99 < 1_000,
    },
  ];
}

const writing = ['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE'];

/** Counts the API server's writes in `seconds` of rest, except those of Leases. */
export async function idle(bed: Bed, seconds: number): Promise<Figure[]> {
  await sleep(5_000);
  const before = await bed.requests(writing);
  await sleep(seconds * 1_000);
  const after = await bed.requests(writing);
  const others = [...after].filter(
    ([what, calls]) => !what.endsWith(' leases') && calls > (before.get(what) ?? 0),
  );
  const text = others.map(([what, calls]) => `${what} ${calls - (before.get(what) ?? 0)}`).join(', ');
  return [
    {
      what: `writes in ${seconds} s of rest, the Lease aside`,
      measured: text || '0',
      bound: '0',
      ok: others.length === 0,
    },
  ];
}

/**
 * Kills the leader while a node waits, and measures the time from the Lease's acquisition to that node's allocation.
 */
export async function takeover(bed: Bed, present: number): Promise<Figure[]> {
  const { leads } = bed.operator('second', 9190);
  await sleep(4_000);
  await bed.killOperator('first');
  await bed.join('after-takeover', '172.18.250.1');
  const start = await leads;
  while ((bed.allocations.get('after-takeover')?.spec.networks?.length ?? 0) < 2) await sleep(5);
  const took = performance.now() - start;
  return [
    {
      what: `a new leader over ${present}: Lease to first allocation`,
      measured: ms(took),
      bound: '3 s',
      ok: took < 3_000,
    },
  ];
}

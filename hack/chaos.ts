import { messageOf } from '../src/error.ts';
import type { Underlay } from '../src/api/types.ts';
import { agentFaults } from '../test/chaos/agent.ts';
import { allocation } from '../test/chaos/allocation.ts';
import { renderFigures, type Figure } from '../test/chaos/figure.ts';
import { injection } from '../test/chaos/injection.ts';
import { kills } from '../test/chaos/kills.ts';
import { PodBed } from '../test/chaos/pods.ts';
import { simulation } from '../test/chaos/simulation.ts';
import { spoofing } from '../test/chaos/spoofing.ts';
import { Wire } from '../test/chaos/wire.ts';
import { ensurePackages } from './parts/packages.ts';
import { say, since } from './parts/progress.ts';
import { provideParts } from './parts/provide.ts';
import { table } from './testbed/table.ts';

/**
 * `npm run chaos [FRAMES]` sends forbidden and permitted frames, 10,000 of each kind by default, and counts those that
 * arrive. It then kills the CNI plugin in the middle of its work 1,000 times, or FRAMES times if that is less. The exit
 * status is 0 only if every count is as expected. Everything runs in network namespaces that end with this process.
 * `npm run chaos -- simulation` tests operators in memory: test/chaos/simulation.ts.
 * `npm run chaos -- allocation` tests operators: test/chaos/allocation.ts.
 * `npm run chaos -- agent` kills agents, cuts them off and changes their kernel objects: test/chaos/agent.ts.
 */

async function spoofed(frames: number): Promise<Figure[]> {
  const bed = await PodBed.up(3);
  try {
    const figures = await spoofing(bed, frames);
    return [...figures.spoofed, ...figures.honest];
  } finally {
    await bed.down();
  }
}

async function injected(underlay: Underlay, frames: number): Promise<Figure[]> {
  const wire = new Wire(underlay);
  try {
    await wire.up();
    const figures = await injection(wire, frames);
    return [...figures.forged, ...figures.honest];
  } finally {
    await wire.down();
  }
}

const attacks: { what: string; run: (frames: number) => Promise<Figure[]> }[] = [
  { what: 'a pod that forges its addresses', run: spoofed },
  { what: 'forged tunnel packets over IPv4', run: (frames) => injected('IPv4', frames) },
  { what: 'forged tunnel packets over IPv6', run: (frames) => injected('IPv6', frames) },
];

function framesAsked(): number {
  const [text = '10000', ...more] = process.argv.slice(2);
  const frames = Number(text);
  if (more.length > 0 || !Number.isInteger(frames) || frames < 1 || frames > 1_000_000) {
    throw new Error(`"${[text, ...more].join(' ')}" is not a number of frames from 1 to 1000000`);
  }
  return frames;
}

async function main(): Promise<boolean> {
  if (process.argv[2] === 'simulation') return simulation(process.argv.slice(3));
  if (process.argv[2] === 'allocation') return allocation(process.argv.slice(3));
  if (process.argv[2] === 'agent') return agentFaults(process.argv.slice(3));
  const frames = framesAsked();
  await ensurePackages();
  await provideParts();
  let ok = true;
  for (const { what, run } of attacks) {
    const start = performance.now();
    const figures = await run(frames);
    ok &&= figures.every((figure) => figure.ok);
    process.stdout.write(`\n${what} (${since(start)})\n\n${renderFigures(figures)}`);
  }
  const start = performance.now();
  const counted = await kills(Math.min(frames, 1_000));
  ok &&= counted.every((one) => one.ok);
  const rows = counted.map(({ what, value, ok: asItShould }) => [what, value, asItShould ? 'ok' : 'FAILED']);
  process.stdout.write(`\nthe CNI plugin killed (${since(start)})\n\n${table(rows)}\n`);
  return ok;
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  say(`chaos: ${messageOf(error)}`);
  process.exitCode = 1;
}

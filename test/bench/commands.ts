import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../../hack/testbed/lab.ts';
import { residentMB, type Bed } from './bed.ts';
import { ms, type Figure } from './table.ts';

/** Longer than an operator keeps what agents have answered. */
const forgottenMs = 4_000;
const mostMB = 400;

/** A command line that has ended. */
interface Typed {
  code: number | null;
  /** In ms, until the first bytes were printed, and until it ended. */
  first: number;
  took: number;
  stdout: string;
  stderr: string;
  /** Peak of its resident memory, in MB. */
  peak: number;
}

/** What `kubectl overlay` takes for the questions of a working day: the program as users have it. */
export async function commands(bed: Bed, server: string, total: number): Promise<Figure[]> {
  const type = async (...args: string[]) => {
    await new Promise((resolve) => setTimeout(resolve, forgottenMs));
    return typed(args, { OVERLAYNET_SERVER: server, KUBECONFIG: bed.plane.kubeconfig });
  };
  const figures: Figure[] = [];
  const add = (
    what: string,
    { code, first, took, peak, stderr }: Typed,
    mostMs: number,
    isRight: boolean,
  ) => {
    const ok = code === 0 && isRight && took <= mostMs && peak <= mostMB;
    if (!ok) process.stderr.write(`  ${what}: exit status ${String(code)}; ${stderr.slice(0, 500)}\n`);
    const measured = `${ms(first)}, ${ms(took)}, ${peak.toFixed(0)} MB`;
    figures.push({
      what: `${what}: first bytes, all, memory`,
      measured,
      bound: `${ms(mostMs)}, ${mostMB} MB`,
      ok,
    });
  };
  const lines = (text: string) => text.split('\n').length - 1;

  const table = await type('containers');
  add('kubectl overlay containers', table, 20_000, lines(table.stdout) === total + 1);
  const json = await type('containers', '-o', 'json');
  const { items } = JSON.parse(json.stdout || '{"items":[]}') as { items: unknown[] };
  add('kubectl overlay containers -o json', json, 20_000, items.length === total);
  const one = await type('containers', '--node', 'node-77');
  add('kubectl overlay containers --node node-77', one, 5_000, lines(one.stdout) === 51);
  const address = /\b9\.\d+\.\d+\.130\b/.exec(one.stdout)?.[0] ?? '';
  const owner = await type('ip', address);
  add(`kubectl overlay ip ${address}`, owner, 10_000, owner.stdout.includes('web-77-'));
  const check = await type('check');
  add('kubectl overlay check', check, 40_000, check.stdout.startsWith('all agree'));
  return figures;
}

/** Runs `kubectl-overlay` to its end. */
export function typed(args: string[], env: Record<string, string>): Promise<Typed> {
  const start = performance.now();
  const child = spawn(join(root, 'dist', 'kubectl-overlay'), args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const result: Typed = { code: null, first: 0, took: 0, stdout: '', stderr: '', peak: 0 };
  const measure = () => {
    try {
      result.peak = Math.max(result.peak, residentMB(child, 'VmHWM') || 0);
    } catch {
      // it has ended
    }
  };
  const timer = setInterval(measure, 100);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (result.first === 0) result.first = performance.now() - start;
    result.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (result.stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(timer);
      resolve({ ...result, code, took: performance.now() - start });
    });
  });
}

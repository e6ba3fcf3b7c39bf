import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { goEnvironment } from '../../hack/parts/plugins.ts';
import { go } from '../../hack/parts/part.ts';
import type { Figure } from './table.ts';

/** A line of src/cni/bench_test.go's output; times in ms. */
interface Cost {
  families: 'IPv4' | 'dual stack';
  atOnce: number;
  command: 'ADD' | 'DEL';
  plugin: 'overlaynet' | 'bridge';
  p50: number;
  p99: number;
}

/** Bounds of the median, as a fraction of the standard plugins' time. */
const bounds = { ADD: { IPv4: 0.7, 'dual stack': 0.45 }, DEL: { IPv4: 0.7, 'dual stack': 0.7 } };

/**
 * Measures ADD and DEL of our plugin, compared with `bridge` and `host-local`. One Go program runs both in turns, in
 * its own namespaces.
 */
export async function containers(): Promise<Figure[]> {
  const args = ['test', '-run=^$', '-bench=Attach', '-benchtime=1x', '-timeout=30m', '.'];
  const child = spawn(await go(), args, {
    cwd: join(import.meta.dirname, '..', '..', 'src', 'cni'),
    env: goEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const costs: Cost[] = [];
  const rest: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('{')) costs.push(JSON.parse(line) as Cost);
    else rest.push(line);
  }
  if ((await ended) !== 0) throw new Error(`the CNI plugin's bench: ${rest.join('\n')}`);
  return costs
    .filter(({ plugin }) => plugin === 'overlaynet')
    .flatMap((ours) => {
      const { families, atOnce, command } = ours;
      const theirs = costs.find(
        (cost) =>
          cost.plugin === 'bridge' &&
          cost.families === families &&
          cost.atOnce === atOnce &&
          cost.command === command,
      );
      if (theirs === undefined) throw new Error(`the CNI plugin's bench has no bridge ${command}`);
      return (['p50', 'p99'] as const).map((quantile): Figure => {
        const ratio = ours[quantile] / theirs[quantile];
        const bound = quantile === 'p50' ? bounds[command][families] : 1;
        return {
          what: `${command} ${quantile}, ${families}, ${atOnce} at once`,
          measured: `${ours[quantile].toFixed(1)} ms`,
          floor: `${theirs[quantile].toFixed(1)} ms`,
          ratio,
          bound: `≤ ${bound}×`,
          ok: ratio <= bound,
        };
      });
    });
}

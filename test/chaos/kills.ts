import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { goEnvironment } from '../../hack/parts/plugins.ts';
import { go } from '../../hack/parts/part.ts';

/** A count, and whether it is as expected. */
export interface Counted {
  what: string;
  value: string;
  ok: boolean;
}

/**
 * Kills the CNI plugin, the agent or both that often in the middle of an ADD, or the plugin in the middle of a DEL.
 * Counts what GC and sweep leave, and what they remove by mistake.
 */
export async function kills(count: number): Promise<Counted[]> {
  const args = ['test', '-count=1', '-v', '-timeout=60m', '-run=^TestKilledAtAnyMoment$', '.'];
  const child = spawn(await go(), args, {
    cwd: join(import.meta.dirname, '..', '..', 'src', 'cni'),
    env: { ...goEnvironment(), OVERLAYNET_CNI_KILLS: String(count) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => (output += text.toString()));
  }
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const [, done, plugin, agent, both, early, cut, leaked, freed] =
    /(\d+) kills \(plugin (\d+), agent (\d+), both (\d+)\), (\d+) before the end, (\d+) in the middle of the agent's answer: (\d+) leases leaked, (\d+) live addresses freed/.exec(
      output,
    ) ?? [];
  if (done === undefined) throw new Error(`kill -9 of the CNI plugin: ${output.trim()}`);
  if (code !== 0) process.stderr.write(`${output.trim()}\n`);
  return [
    { what: 'kill -9 of CNI plugin and agent', value: done, ok: code === 0 && Number(done) === count },
    { what: 'of these the plugin alone', value: plugin ?? '', ok: Number(plugin) > 0 },
    { what: 'the agent alone', value: agent ?? '', ok: Number(agent) > 0 },
    { what: 'both', value: both ?? '', ok: Number(both) > 0 },
    { what: 'of these before it was done', value: early ?? '', ok: Number(early) > 0 },
    { what: "in the middle of the agent's answer", value: cut ?? '', ok: Number(cut) > 0 },
    { what: 'leases leaked, after GC', value: leaked ?? '', ok: leaked === '0' },
    { what: 'addresses of live containers freed', value: freed ?? '', ok: freed === '0' },
  ];
}

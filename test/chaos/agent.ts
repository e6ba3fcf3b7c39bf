import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { buildBundles } from '../../hack/build.ts';
import { ensurePackages } from '../../hack/parts/packages.ts';
import { go } from '../../hack/parts/part.ts';
import { pluginDirectory } from '../../hack/parts/plugins.ts';
import { say, since } from '../../hack/parts/progress.ts';
import { findParts } from '../../hack/parts.ts';
import { administrator } from '../../hack/testbed/controlplane.ts';
import { labNamed, root } from '../../hack/testbed/lab.ts';
import { claim, clear } from '../../hack/testbed/owner.ts';
import { raise } from '../../hack/testbed/raise.ts';
import { table } from '../../hack/testbed/table.ts';
import { departed } from './agent/departed.ts';
import { drift } from './agent/drift.ts';
import { outage } from './agent/outage.ts';
import { reboot } from './agent/reboot.ts';
import { restarts } from './agent/restarts.ts';
import type { Measured, Rig } from './agent/rig.ts';

interface Options {
  times: number;
  away: number;
  peers: number;
}

const scenarios: Record<string, (rig: Rig, options: Options) => Promise<Measured[]>> = {
  restarts: (rig, { times }) => restarts(rig, times),
  outage: (rig, { away }) => outage(rig, away * 1_000),
  departed: (rig, { peers }) => departed(rig, peers),
  drift: (rig) => drift(rig),
  reboot: (rig) => reboot(rig),
};

const number = (text: string): number => {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('It must be a number from 1 to 9999.');
  return Number(text);
};

/** A row for each, and below them the details of those that are not met. */
export const renderMeasured = (measured: readonly Measured[]): string =>
  [
    table(measured.map(({ what, value, asked, ok }) => [what, value, `(${asked})`, ok ? 'ok' : 'FAILED'])),
    ...measured.flatMap(({ what, ok, details = [] }) =>
      ok ? [] : details.map((line) => `${what}: ${line}`),
    ),
  ].join('\n');

/**
 * `npm run chaos -- agent [SCENARIO …]`: real agents, operators, API server and etcd in a lab; faults, and what they cost the
 * traffic. Tells whether all is as it should be.
 */
export async function agentFaults(argv: readonly string[]): Promise<boolean> {
  const command = new Command('npm run chaos -- agent')
    .argument('[scenario...]', `of ${Object.keys(scenarios).join(', ')}; all of them by default`)
    .option('--times <number>', 'restarts in each way', number, 20)
    .option('--away <seconds>', 'how long API server and etcd are away', number, 300)
    .option('--peers <number>', 'of which a quarter leaves', number, 200)
    .parse(argv, { from: 'user' });
  const names = command.args.length === 0 ? Object.keys(scenarios) : command.args;
  const unknown = names.find((name) => !(name in scenarios));
  if (unknown !== undefined)
    throw new Error(`there is no scenario "${unknown}"; there are ${Object.keys(scenarios).join(', ')}`);
  await ensurePackages();
  const built = buildBundles();
  const found = await findParts();
  const parts = { ...found, cni: await pluginDirectory(found.cni, go) };
  const lab = labNamed('ovt-chaos');
  await claim(lab);
  let ok = true;
  try {
    await raise({ lab, parts, nodes: 3, overlay: join(root, 'deploy/samples/overlay.yaml'), built });
    const client = await administrator(lab);
    for (const name of names) {
      const start = performance.now();
      const measured = (await scenarios[name]?.({ lab, parts, client }, command.opts<Options>())) ?? [];
      ok &&= measured.every((one) => one.ok);
      process.stdout.write(`\n${name} (${since(start)})\n\n${renderMeasured(measured)}\n`);
    }
    await client.close();
  } catch (error) {
    say(`logs of the lab: ${join(lab.dir, 'logs')}`);
    throw error;
  } finally {
    await clear(lab);
  }
  return ok;
}

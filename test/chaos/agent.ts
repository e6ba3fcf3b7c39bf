import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { buildBundles } from '../../hack/build.ts';
import { ensurePackages } from '../../hack/parts/packages.ts';
import { go } from '../../hack/parts/part.ts';
import { pluginDirectory } from '../../hack/parts/plugins.ts';
import { say, since } from '../../hack/parts/progress.ts';
import { findParts } from '../../hack/parts.ts';
import { administrator } from '../../hack/testbed/controlplane.ts';
import { lastWords } from '../../hack/testbed/processes.ts';
import { labNamed, root } from '../../hack/testbed/lab.ts';
import { claim, clear } from '../../hack/testbed/owner.ts';
import { raise } from '../../hack/testbed/raise.ts';
import { table } from '../../hack/testbed/table.ts';
import { departed } from './agent/departed.ts';
import { drift } from './agent/drift.ts';
import { outage } from './agent/outage.ts';
import { commanded, probes } from './agent/probes.ts';
import { reboot } from './agent/reboot.ts';
import { restarts } from './agent/restarts.ts';
import type { Measured, Rig } from './agent/rig.ts';

interface Options {
  times: number;
  away: number;
  peers: number;
  nodes: number;
  quiet: number;
  causes: boolean;
}

const scenarios: Record<string, (rig: Rig, options: Options) => Promise<Measured[]>> = {
  restarts: (rig, { times }) => restarts(rig, times),
  outage: (rig, { away }) => outage(rig, away * 1_000),
  departed: (rig, { peers }) => departed(rig, peers),
  drift: (rig) => drift(rig),
  reboot: (rig) => reboot(rig),
  probes: async (rig, { quiet, causes }) => [
    ...(await probes(rig, quiet * 1_000, causes ? Infinity : 0)),
    ...(causes ? await commanded(rig) : []),
  ],
};

/** Runs a scenario. One that throws counts as failed, and the others still run. */
async function attempt(name: string, rig: Rig, options: Options): Promise<Measured[]> {
  try {
    return (await scenarios[name]?.(rig, options)) ?? [];
  } catch (error) {
    const details = [String(error), ...lastWords(rig.lab, 'agent-node2').split('\n')];
    return [{ what: `${name}: to its end`, value: 'no', asked: 'yes', ok: false, details }];
  }
}

const number = (text: string): number => {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('It must be a number from 1 to 9999.');
  return Number(text);
};

/** The machine's load in the last five minutes, which explains times. */
const busy = () => `${availableParallelism()} processors, load ${(loadavg()[1] ?? 0).toFixed(1)}`;

/** Formats a row for each figure, and below them the details of those that failed or missed their bound. */
export const renderMeasured = (measured: readonly Measured[]): string =>
  [
    table(measured.map(({ what, value, asked, ok }) => [what, value, `(${asked})`, ok ? 'ok' : 'FAILED'])),
    ...measured.flatMap(({ what, ok, missed = false, details = [] }) =>
      ok && !missed ? [] : details.map((line) => `${what}: ${line}`),
    ),
  ].join('\n');

/**
 * `npm run chaos -- agent [SCENARIO …]`: injects faults into a lab with real agents, operators, API server and etcd,
 * and measures the traffic that they cost. Returns whether all figures are as expected.
 */
export async function agentFaults(argv: readonly string[]): Promise<boolean> {
  const command = new Command('npm run chaos -- agent')
    .argument('[scenario...]', `of ${Object.keys(scenarios).join(', ')}; all of them by default`)
    .option('--times <number>', 'restarts in each way', number, 20)
    .option('--away <seconds>', 'how long API server and etcd are away', number, 300)
    .option('--peers <number>', 'of which a quarter leaves', number, 200)
    .option('--nodes <number>', 'of the lab', number, 3)
    .option('--quiet <seconds>', 'how long agents probe while nothing is wrong', number, 60)
    .option('--no-causes', 'agents probe, and nothing is wrong at any time')
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
    await raise({
      lab,
      parts,
      nodes: command.opts<Options>().nodes,
      overlay: join(root, 'deploy/samples/overlay.yaml'),
      built,
    });
    const client = await administrator(lab);
    for (const name of names) {
      const start = performance.now();
      const measured = await attempt(name, { lab, parts, client }, command.opts<Options>());
      ok &&= measured.every((one) => one.ok);
      process.stdout.write(`\n${name} (${since(start)}; ${busy()})\n\n${renderMeasured(measured)}\n`);
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

import { messageOf } from '../src/error.ts';
import { spawnSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';
import { Bed, self, type Furnishing } from '../test/bench/bed.ts';
import { containers } from '../test/bench/cni.ts';
import { datapath } from '../test/bench/datapath.ts';
import { simulated } from '../test/bench/plan.ts';
import { reserved } from '../test/bench/reserved.ts';
import { rows } from '../test/bench/rows.ts';
import { scale, type Size } from '../test/bench/scale.ts';
import { burst, coldAgent, idle, joins, takeover } from '../test/bench/scenarios.ts';
import { renderTable, type Figure } from '../test/bench/table.ts';
import { buildBundles } from './build.ts';
import { ensurePackages } from './parts/packages.ts';
import { say, since } from './parts/progress.ts';
import { provideParts } from './parts/provide.ts';

/**
 * Set in the child process that has its own network namespace, in which the measured agent programs routes and links.
 */
const inside = 'OVERLAYNET_BENCH_INSIDE';

/** Runs a scenario on its own control plane. */
async function on(run: (bed: Bed) => Promise<Figure[]>, furnishing?: Furnishing): Promise<Figure[]> {
  const bed = await Bed.start(furnishing);
  try {
    return await run(bed);
  } finally {
    await bed.stop();
  }
}

const scenarios = {
  200: async (bed: Bed) => [
    ...(await burst(bed, 200)).slice(2),
    ...(await coldAgent(bed, 200)),
    ...(await joins(bed, 200, 50)),
    ...(await idle(bed, 30)),
  ],
  1000: async (bed: Bed) => [...(await burst(bed, 1_000)), ...(await coldAgent(bed, 1_000))],
  5000: async (bed: Bed) => [
    ...(await burst(bed, 5_000)).slice(0, 1),
    ...(await coldAgent(bed, 5_000)),
    ...(await takeover(bed, 5_000)),
  ],
};

interface Part {
  title: string;
  figures: () => Promise<Figure[]>;
}

const atScale = (size: Size): Part => ({
  title: `${size.nodes} nodes, ${size.networks} networks: allocation alone`,
  figures: () =>
    on((bed) => scale(bed, size), { vtepSubnets: ['44.128.0.0/16', 'fd01:a::/64'], networks: size.networks }),
});

const parts: Record<string, Part> = {
  200: { title: '200 peers', figures: () => on(scenarios[200]) },
  1000: { title: '1000 peers', figures: () => on(scenarios[1000]) },
  5000: { title: '5000 peers', figures: () => on(scenarios[5000]) },
  '5000x1': atScale({ nodes: 5_000, networks: 1 }),
  '5000x10': atScale({ nodes: 5_000, networks: 10 }),
  rows: {
    title: 'what the command and the page ask for, 1000 agents and 50,000 containers',
    figures: () => on((bed) => rows(bed, 1_000, 50)),
  },
  reserved: {
    title: '2000 agents that come over from DC/OS',
    figures: () =>
      on((bed) => reserved(bed, 2_000), { vtepSubnets: ['44.128.0.0/20', 'fd01:a::/64'], networks: 0 }),
  },
  plan: {
    title: 'the plan alone, 5000 and 20000 nodes in memory',
    figures: () =>
      Promise.resolve(
        [5_000, 20_000].flatMap((nodes) => [1, 10].flatMap((networks) => simulated({ nodes, networks }))),
      ),
  },
  cni: { title: 'containers, beside bridge with host-local', figures: containers },
  datapath: { title: 'packets between containers of two nodes, beside peers', figures: datapath },
};

/** Returns the part of that name. `300x10` measures allocation alone for 300 nodes and 10 networks. */
function partOf(name: string): Part {
  const [, nodes, networks] = /^(\d+)x(\d+)$/.exec(name) ?? [];
  const part =
    parts[name] ??
    (nodes === undefined ? undefined : atScale({ nodes: Number(nodes), networks: Number(networks) }));
  if (part === undefined)
    throw new Error(`there is no "${name}"; there are ${Object.keys(parts).join(', ')}, and NODESxNETWORKS`);
  return part;
}

/** Returns the parts that the command line names, as in `npm run bench -- 200 cni`, or all. */
function asked(): Part[] {
  const names = process.argv.slice(2);
  return (names.length === 0 ? Object.keys(parts) : names).map(partOf);
}

async function measure(): Promise<void> {
  const link = `link set lo up\nlink add ovb0 type veth peer name ovb1\naddr add ${self.address}/16 dev ovb0\nlink set ovb0 up\nlink set ovb1 up\n`;
  spawnSync('ip', ['-batch', '-'], { input: link });
  const load = loadavg()[1]?.toFixed(1) ?? '';
  const figures: Figure[] = [];
  for (const { title, figures: take } of asked()) {
    const start = performance.now();
    say(title);
    const some = await take();
    for (const { what, measured, floor = '-', ok } of some)
      say(`  ${what}: ${measured}, floor ${floor}${ok ? '' : ', MISSED'}`);
    say(`  took ${since(start)}`);
    figures.push(...some);
  }
  const processes = figures.filter(({ what }) => what.startsWith('processes'));
  const constant = new Set(processes.map(({ measured }) => measured)).size === 1;
  for (const figure of processes) figure.ok &&= constant;
  const memory = Math.round(totalmem() / 2 ** 30);
  process.stdout.write(
    `\n${cpus().length} cores, ${memory} GB, Node ${process.versions.node}; load ${load} at the start, ${loadavg()[1]?.toFixed(1) ?? ''} at the end\n\n${renderTable(figures)}\n`,
  );
  process.exitCode = figures.every(({ ok }) => ok) ? 0 : 1;
}

async function main(): Promise<void> {
  if (process.env[inside] !== undefined) {
    await measure();
    return;
  }
  asked();
  await ensurePackages();
  await provideParts();
  await buildBundles();
  const { status } = spawnSync(
    // the child ends with this process, even if this one is killed, and its namespaces end with it
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'unshare', '--net', '--mount', '--'],
      ...[process.execPath, import.meta.filename, ...process.argv.slice(2)],
    ],
    {
      stdio: 'inherit',
      env: { ...process.env, [inside]: 'yes' },
    },
  );
  process.exitCode = status ?? 1;
}

main().catch((error: unknown) => {
  say(`bench: ${messageOf(error)}`);
  process.exitCode = 1;
});

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Command } from 'commander';
import { binDirectory, createCluster, deleteCluster, kind } from './kind/cluster.ts';
import { runningEngine, startEngine, stopEngine, type Engine } from './kind/engine.ts';
import { provideImages } from './kind/images.ts';
import { addNetwork, removeNetwork } from './kind/network.ts';
import { nodeImage } from './kind/node.ts';
import { ensurePackages } from './parts/packages.ts';
import { say } from './parts/progress.ts';
import { labNamed, root, UserError, type Lab } from './testbed/lab.ts';
import { claim, clear, own, takeDown } from './testbed/owner.ts';

/**
 * `npm run e2e`: a kind cluster with overlaynet as its only CNI, and the tests in test/e2e, in the order of their names.
 */
const flags = new Command('npm run e2e --')
  .description('Makes a kind cluster, installs overlaynet as its only CNI, runs test/e2e, takes it down.')
  .argument('[tests...]', 'parts of names of test files; default: all')
  .option('--keep', 'leave the cluster up, with overlaynet in it; --down removes it')
  .option('--down', 'remove a cluster that was kept, or left by a killed run')
  .allowExcessArguments(false)
  .parse();
const { keep = false, down = false } = flags.opts<{ keep?: boolean; down?: boolean }>();
const tests = flags.args;

const lab = labNamed('overlaynet-e2e');
const suite = join(root, 'test', 'e2e');
/** The last: takes overlaynet away. */
const uninstall = 'uninstall';

const message = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Settles with the first signal that asks this process to end. */
const interrupted = new Promise<NodeJS.Signals>((settle) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, settle);
});

const begin = performance.now();
function done(what: string): void {
  say(`${((performance.now() - begin) / 1000).toFixed(1).padStart(6)} s  ${what}`);
}

/** Where the engine of a cluster that is up is written down. */
const engineFile = (of: Lab) => join(of.dir, 'engine.json');

function engineOf(of: Lab): Engine | undefined {
  try {
    return JSON.parse(readFileSync(engineFile(of), 'utf8')) as Engine;
  } catch {
    return undefined;
  }
}

/** Removes cluster, network and engine, as far as they are there. */
async function remove(engine: Engine | undefined): Promise<void> {
  if (engine && !engine.sealed) {
    mkdirSync(lab.dir, { recursive: true });
    await deleteCluster(lab, engine);
    await removeNetwork(engine);
  }
  await stopEngine(lab);
  await clear(lab);
}

/** Brings the cluster up, with the images loaded and nothing installed. */
async function raise(): Promise<void> {
  const running = await runningEngine();
  if (!running) await ensurePackages({ dockerd: 'docker.io' });
  const engine = running ?? (await startEngine(lab, keep));
  writeFileSync(engineFile(lab), JSON.stringify(engine));
  done(
    running ? `Docker engine at ${engine.host}` : 'Docker engine of our own, in a namespace without uplink',
  );
  const image = await nodeImage(lab, engine);
  done(`node image ${image}`);
  if (running) await deleteCluster(lab, engine);
  await addNetwork(engine);
  await createCluster(lab, engine, image);
  done('kind cluster: a control plane, two workers, no CNI');
  await provideImages(lab, engine, (archive) =>
    kind(lab, ['load', 'image-archive', archive]).then(() => undefined),
  );
  done('images of operator, agent and tests loaded');
}

interface Totals {
  passed: number;
  failed: number;
}

/** Runs one file of tests; one that could not be run counts as a failed test. */
async function runFile(file: string): Promise<Totals> {
  const results = join(lab.dir, 'results.json');
  rmSync(results, { force: true });
  const options = [
    '--forceExit',
    '--verbose',
    '--json',
    `--outputFile=${results}`,
    '--runTestsByPath',
    join(suite, file),
  ];
  const child = spawn(process.execPath, [join(root, 'node_modules', '.bin', 'jest'), ...options], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      OVERLAYNET_E2E: binDirectory(lab),
      NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning',
    },
  });
  void interrupted.then(() => child.kill());
  await new Promise((resolve) => child.on('exit', resolve));
  if (!existsSync(results)) return { passed: 0, failed: 1 };
  const counts = JSON.parse(readFileSync(results, 'utf8')) as Record<string, number>;
  const { numPassedTests: passed = 0, numFailedTests = 0, numRuntimeErrorTestSuites = 0 } = counts;
  return { passed, failed: numFailedTests + numRuntimeErrorTestSuites };
}

/** Runs the files of test/e2e in the order of their names, until one fails: each goes on with the cluster of those before. */
async function test(): Promise<Totals> {
  const files = readdirSync(suite)
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => !(keep && file.includes(uninstall)))
    .filter((file) => tests.length === 0 || tests.some((part) => file.includes(part)))
    .sort();
  if (files.length === 0) throw new UserError(`no test in test/e2e has a name with ${tests.join(' or ')}`);
  const totals = { passed: 0, failed: 0 };
  for (const file of files) {
    const { passed, failed } = await runFile(file);
    totals.passed += passed;
    totals.failed += failed;
    done(`${file}: ${passed} passed${failed > 0 ? `, ${failed} failed` : ''}`);
    if (failed > 0) break;
  }
  return totals;
}

function howToReach(): void {
  const bin = relative(process.cwd(), binDirectory(lab));
  say(`\nthe cluster stays up: export PATH=$PWD/${bin}:$PATH
  kubectl get nodes,pods -A -o wide          kubectl, docker and kind reach it
  inside curl -k https://…                   any other program, in the network namespace of its engine
  npm run e2e -- --down                      removes it`);
}

async function e2e(): Promise<number> {
  await ensurePackages({ docker: 'docker.io', mmdebstrap: 'mmdebstrap' });
  if (down) {
    const engine = engineOf(lab);
    const was = await takeDown(lab);
    await remove(engine);
    say(was ? 'the e2e cluster is gone' : 'there is no e2e cluster');
    return 0;
  }
  const engine = engineOf(lab);
  await claim(lab, 'npm run e2e -- --down');
  if (engine) await remove(engine).then(() => claim(lab));

  let totals: Totals = { passed: 0, failed: 1 };
  let status = 0;
  const work = (async () => {
    await raise();
    totals = await test();
    status = totals.failed === 0 ? 0 : 1;
  })().catch((error: unknown) => {
    if (status === 130) return; // what was being started could not be, as wanted
    say(`e2e: ${message(error)}`);
    status = 1;
  });
  if (await Promise.race([work, interrupted])) status = 130;
  if (keep && status !== 130) {
    own(lab, true);
    howToReach();
  } else {
    const now = engineOf(lab);
    await remove(now);
    await work;
    await remove(undefined);
    done('all removed');
  }
  if (status !== 130) console.log(`${totals.passed} passed, ${totals.failed} failed`);
  return status;
}

try {
  process.exit(await e2e());
} catch (error) {
  say(`e2e: ${message(error)}`);
  process.exit(1);
}

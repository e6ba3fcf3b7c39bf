import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { command } from '../parts/command.ts';
import { cacheDirectory } from '../parts/part.ts';
import { say } from '../parts/progress.ts';
import { docker, type Engine } from '../testbed/engine.ts';
import { logFile, UserError, type Lab } from '../testbed/lab.ts';
import { end, lastWords, marks, processesOf, until } from '../testbed/processes.ts';
import { findRunc } from './parts.ts';

/** In /run, because a socket's path must be short, and because a reboot removes it. */
const runDirectory = '/run/overlaynet-e2e';
const socket = join(runDirectory, 'docker.sock');
/** Parent of all containers' cgroups, by which the cgroups that a killed run left can be recognised. */
const cgroup = 'overlaynet-e2e';
const role = 'engine';

/**
 * Process 1 of the engine's namespaces: when it ends, the kernel ends all others. It is bash because bash reaps the
 * processes that containers leave. It ends when its standard input closes, thus with the process that started it; the
 * process 1 of a kept engine ends with dockerd instead.
 */
const init = `
ip link set lo up
[ ! -d /etc/docker ] || mount -t tmpfs tmpfs /etc/docker # for the key of older ones
dockerd --config-file "$1" &
if [ "$2" = keep ]; then wait; else read -r; fi
`;

/** Directory that kind nodes mount from the machine; the engine creates it if it is missing. */
const modules = '/lib/modules';
const noModules = join(runDirectory, 'no-modules');

/** Removes what remains after the engine's processes have ended: empty cgroups, directories and sockets. */
const tidy = `
for try in 1 2 3 4 5 6 7 8 9 10; do
  find /sys/fs/cgroup -depth -type d -path '*/${cgroup}*' -exec rmdir {} + 2>/dev/null && break
  sleep 0.2
done
[ ! -e ${noModules} ] || rmdir ${modules}
rm -rf ${runDirectory}
`;
/**
 * Runs around the engine, in the machine's own namespaces. It tidies even if the process that started it was killed.
 */
const supervise = `
unshare --net --pid --fork --kill-child --mount --mount-proc bash -c '${init}' engine "$@"
${tidy}`;

/**
 * Starts an engine of our own, with its own network, process and mount namespaces and without an uplink. Its images
 * stay in the cache, which one engine at a time may use. With `keep`, the engine outlives this process.
 */
export async function startEngine(lab: Lab, keep: boolean): Promise<Engine> {
  await command('sh', ['-c', tidy]);
  const data = join(cacheDirectory(), 'engine');
  const lock = join(cacheDirectory(), 'engine.lock');
  const engine = { host: `unix://${socket}`, sealed: true };
  mkdirSync(data, { recursive: true });
  if (!existsSync(modules)) {
    mkdirSync(runDirectory, { recursive: true });
    writeFileSync(noModules, '');
  }
  const configuration = {
    'data-root': data,
    'exec-root': join(runDirectory, 'exec'),
    pidfile: join(runDirectory, 'dockerd.pid'),
    hosts: [engine.host],
    bridge: 'none',
    'cgroup-parent': `/${cgroup}`,
    'exec-opts': ['native.cgroupdriver=cgroupfs'],
    runtimes: { overlaynet: { path: await findRunc() } },
    'default-runtime': 'overlaynet',
  };
  mkdirSync(join(lab.dir, 'logs'), { recursive: true });
  const file = join(lab.dir, 'dockerd.json');
  writeFileSync(file, JSON.stringify(configuration));
  // every process of the engine holds this kernel lock, so that a killed engine leaves none
  const locked = ['--nonblock', '--conflict-exit-code', '75', lock, 'sh', '-c', supervise, 'supervise'];
  const log = openSync(logFile(lab, role), 'w');
  const child = spawn('flock', [...locked, file, keep ? 'keep' : 'end'], {
    detached: true,
    stdio: [keep ? 'ignore' : 'pipe', log, log],
    env: { ...process.env, ...marks(lab, role) },
  });
  closeSync(log);
  child.unref();
  const exit = new Promise<number>((resolve) => {
    child.on('error', () => {
      resolve(127);
    });
    child.on('exit', (code) => {
      resolve(code ?? 1);
    });
  });
  let ended: number | undefined;
  void exit.then((code) => (ended = code));
  await until(
    'Docker engine',
    async () => {
      if (ended === 75)
        throw new UserError('another e2e cluster is up on this machine: npm run e2e -- --down there');
      if (ended !== undefined) throw new Error(`Docker engine ended; ${lastWords(lab, role)}`);
      if (!existsSync(socket)) return undefined;
      return docker({ ...engine, inside: [] }, ['version']).catch(() => undefined);
    },
    { seconds: 180 },
  );
  const found = { ...engine, inside: ['nsenter', `--net=/proc/${pidOf(lab, 'dockerd')}/ns/net`] };
  await discard(found);
  return found;
}

/** Returns the pid of the engine's process `name`. Throws if no such process runs. */
function pidOf(lab: Lab, name: string): number {
  const found = processesOf(lab, { role }).find(
    ({ pid }) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === name,
  );
  if (!found) throw new Error(`the Docker engine has no process ${name}; ${lastWords(lab, role)}`);
  return found.pid;
}

/** Removes the containers, volumes and networks that a killed run left in the engine's data, but no images. */
async function discard(engine: Engine): Promise<void> {
  const ids = (await docker(engine, ['ps', '-aq'])).split('\n').filter((id) => id !== '');
  if (ids.length > 0) await docker(engine, ['rm', '-fv', ...ids]);
  await docker(engine, ['volume', 'prune', '-f']);
  await docker(engine, ['network', 'prune', '-f']);
  if (ids.length > 0) say(`  removed ${ids.length} containers of an earlier run`);
}

/** Ends our own engine and everything in it, even if another command started it. */
export async function stopEngine(lab: Lab): Promise<void> {
  if (processesOf(lab, { role }).length > 0) {
    try {
      process.kill(pidOf(lab, 'unshare'), 'SIGKILL'); // its children end with it, and the supervisor tidies
    } catch {
      // it is ending already
    }
    const ended = () => (processesOf(lab, { role }).length === 0 ? true : undefined);
    await until('Docker engine ended', ended, { seconds: 15 }).catch(() => undefined);
  }
  await end(lab, { role }, 'SIGKILL');
  await command('sh', ['-c', tidy]);
}

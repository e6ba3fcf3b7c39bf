import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../src/linux/run.ts';
import type { Netns } from './netns.ts';

const cgroups = '/sys/fs/cgroup';

/** All that is mounted, listens or is written is in a mount namespace, all that runs in a PID namespace. */
const prepare = [
  'read -r pid rest </proc/self/stat',
  'mount -t proc proc /proc',
  'mount -t tmpfs tmpfs /run',
  // older ones write a key
  'if [ -d /etc/docker ]; then mount -t tmpfs tmpfs /etc/docker; fi',
  'mkdir -p /run/image/bin',
  'cp "$(command -v busybox)" /run/image/bin/busybox',
  // what it needs where it is not a static one
  'for lib in $(ldd "$(command -v busybox)" 2>/dev/null | grep -o "/[^ ]*"); do cp --parents "$lib" /run/image; done',
  // all stands
  'echo $pid',
  'exec cat',
].join(' && ');

const flags = [
  ...['--config-file', '/run/daemon.json', '--data-root', '/run/data', '--exec-root', '/run/exec'],
  ...['--pidfile', '/run/dockerd.pid', '--host', 'unix:///run/docker.sock'],
  // nodes of the tests have 172.17 themselves
  ...['--bip', '192.168.250.1/24'],
];

/**
 * A Docker engine in a network namespace. It ends, with its containers, when this process does, whichever way; what
 * then stays of it are empty cgroups, which the next one to start clears.
 */
export class Dockerd {
  readonly #holder: ChildProcess;
  /** First process of its PID namespace. */
  readonly #init: number;
  readonly #flags: readonly string[];

  private constructor(holder: ChildProcess, init: number, extra: readonly string[]) {
    this.#holder = holder;
    this.#init = init;
    this.#flags = extra;
  }

  /** Prepared, and not started; `stop` it in any case. */
  static async prepare(netns: Netns, extra: readonly string[] = []): Promise<Dockerd> {
    clearCgroups();
    const unshare = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
    const holder = spawn(...netns.enter('unshare', [...unshare, 'sh', '-c', prepare]), { stdio: 'pipe' });
    let stderr = '';
    holder.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const said = await Promise.race([
      once(holder.stdout, 'data').then(([text]) => String(text)),
      once(holder, 'exit').then(() => ''),
    ]);
    if (said === '') throw new Error(`no namespaces for Docker: ${stderr.trim()}`);
    return new Dockerd(holder, Number(said), extra);
  }

  static async start(netns: Netns, extra: readonly string[] = []): Promise<Dockerd> {
    const engine = await Dockerd.prepare(netns, extra);
    try {
      await engine.up();
    } catch (error) {
      await engine.stop();
      throw error;
    }
    return engine;
  }

  get socket(): string {
    return `/proc/${this.#init}/root/run/docker.sock`;
  }

  /** Starts the engine, also again, with what it had. */
  async up(): Promise<void> {
    const group = `/${cgroupPrefix}${process.pid}`;
    const args = [...flags, '--cgroup-parent', group, ...this.#flags];
    const child = spawn(
      ...this.#enter('sh', ['-c', 'echo {} >/run/daemon.json && exec dockerd "$@"', 'sh', ...args]),
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let log = '';
    child.stderr.on('data', (text: Buffer) => (log = (log + text.toString()).slice(-4_000)));
    for (let tries = 0; tries < 300; tries++) {
      if (child.exitCode !== null) break;
      if ((await this.#docker('version')).code === 0) return;
      await sleep(100);
    }
    throw new Error(`dockerd does not come up:\n${log}`);
  }

  /** Stops the engine as a service manager does. */
  async down(): Promise<void> {
    const { code } = await run(
      ...this.#enter('sh', [
        '-c',
        'kill "$(cat /run/dockerd.pid)" && while [ -e /run/dockerd.pid ]; do sleep 0.05; done',
      ]),
    );
    if (code !== 0) throw new Error('dockerd does not run');
  }

  /** Words separated by one space. Returns what `docker` printed; fails where it does. */
  async docker(command: string): Promise<string> {
    const { stdout, stderr, code } = await this.#docker(...command.split(' '));
    if (code !== 0) throw new Error(`docker ${command}: ${stderr.trim()} ${stdout.trim()}`);
    return stdout.trim();
  }

  /** What `docker` says on failing. */
  async refused(command: string): Promise<string> {
    const { stdout, stderr, code } = await this.#docker(...command.split(' '));
    if (code === 0) throw new Error(`docker ${command} succeeded: ${stdout}`);
    return stderr;
  }

  /** An image `busybox` whose containers run one of its programs; made of the machine's own. */
  async image(): Promise<void> {
    const script =
      'tar -C /run/image -c . | docker -H unix:///run/docker.sock import --change \'ENTRYPOINT ["/bin/busybox"]\' - busybox';
    const { code, stderr } = await run(...this.#enter('sh', ['-c', script]));
    if (code !== 0) throw new Error(`no image: ${stderr}`);
  }

  /** A container that does nothing, and ends at once when stopped. */
  async container(name: string, network: string): Promise<void> {
    await this.docker(`run -d --stop-signal KILL --net ${network} --name ${name} busybox sleep 1000`);
  }

  /** Ends everything that runs in it. */
  async stop(): Promise<void> {
    const gone = once(this.#holder, 'exit');
    this.#holder.stdin?.end();
    await gone;
    clearCgroups();
  }

  #docker(...args: string[]) {
    return run('docker', ['-H', `unix://${this.socket}`, ...args], {
      env: { DOCKER_CONFIG: '/nonexistent' },
    });
  }

  #enter(program: string, args: string[]): [string, string[]] {
    return ['nsenter', [`--target=${this.#init}`, '--mount', '--pid', '--net', program, ...args]];
  }
}

const cgroupPrefix = 'ovt-docker-';

/** Of engines whose test process is gone, and this one's own where they are empty. */
function clearCgroups(): void {
  for (const root of [cgroups, ...directories(cgroups)]) {
    for (const dir of directories(root)) {
      const pid = dir.startsWith(join(root, cgroupPrefix)) ? dir.slice(join(root, cgroupPrefix).length) : '';
      if (pid === String(process.pid) || (pid !== '' && !existsSync(`/proc/${pid}`))) removeEmpty(dir);
    }
  }
}

/** A cgroup directory goes by rmdir, and only while no process is in it. */
function removeEmpty(dir: string): void {
  for (const child of directories(dir)) removeEmpty(child);
  try {
    rmdirSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
  }
}

const directories = (dir: string): string[] =>
  statSync(dir, { throwIfNoEntry: false }) === undefined
    ? []
    : readdirSync(dir, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => join(dir, name));

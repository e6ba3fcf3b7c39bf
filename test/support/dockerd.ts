import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../src/linux/run.ts';
import { Netns } from './netns.ts';

/** A network namespace, by the command line that runs a program in it. */
type Enterable = Pick<Netns, 'enter'>;

const cgroups = '/sys/fs/cgroup';

/** Mounts, sockets and files are in a separate mount namespace, and processes in a separate PID namespace. */
const prepare = [
  'read -r pid rest </proc/self/stat',
  'mount -t proc proc /proc',
  'mount -t tmpfs tmpfs /run',
  // older engines write a key
  'if [ -d /etc/docker ]; then mount -t tmpfs tmpfs /etc/docker; fi',
  'mkdir -p /run/image/bin',
  'cp "$(command -v busybox)" /run/image/bin/busybox',
  // libraries, for a busybox that is not static
  'for lib in $(ldd "$(command -v busybox)" 2>/dev/null | grep -o "/[^ ]*"); do cp --parents "$lib" /run/image; done',
  // everything is ready
  'echo $pid',
  'exec cat',
].join(' && ');

const flags = [
  ...['--config-file', '/run/daemon.json', '--data-root', '/run/data', '--exec-root', '/run/exec'],
  ...['--pidfile', '/run/dockerd.pid', '--host', 'unix:///run/docker.sock'],
  // the tests' nodes use 172.17 themselves
  ...['--bip', '192.168.250.1/24'],
];

/**
 * A Docker engine in a network namespace. It and its containers end with this process, even if that is killed. Only
 * empty cgroups remain then, and the next engine removes them.
 */
export class Dockerd {
  readonly #holder: ChildProcess;
  /** Pid of the first process of its PID namespace. */
  readonly #init: number;
  readonly #flags: readonly string[];

  private constructor(holder: ChildProcess, init: number, extra: readonly string[]) {
    this.#holder = holder;
    this.#init = init;
    this.#flags = extra;
  }

  /** Prepares the namespaces without starting the engine; always call `stop`. */
  static async prepare(netns: Enterable, extra: readonly string[] = []): Promise<Dockerd> {
    clearCgroups();
    const unshare = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
    const holder = spawn(...netns.enter('unshare', [...unshare, 'sh', '-c', prepare]), { stdio: 'pipe' });
    let stderr = '';
    holder.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const answer = await Promise.race([
      once(holder.stdout, 'data').then(([text]) => String(text)),
      once(holder, 'exit').then(() => ''),
    ]);
    if (answer === '') throw new Error(`no namespaces for Docker: ${stderr.trim()}`);
    return new Dockerd(holder, Number(answer), extra);
  }

  static async start(netns: Enterable, extra: readonly string[] = []): Promise<Dockerd> {
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

  /** Starts the engine, or starts it again with its old data. */
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

  /** Runs docker with words separated by one space, and returns its output. Throws if it fails. */
  async docker(command: string): Promise<string> {
    const { stdout, stderr, code } = await this.#docker(...command.split(' '));
    if (code !== 0) throw new Error(`docker ${command}: ${stderr.trim()} ${stdout.trim()}`);
    return stdout.trim();
  }

  /** Returns docker's error message. Throws if it succeeds. */
  async refused(command: string): Promise<string> {
    const { stdout, stderr, code } = await this.#docker(...command.split(' '));
    if (code === 0) throw new Error(`docker ${command} succeeded: ${stdout}`);
    return stderr;
  }

  /** Makes an image `busybox` from the machine's own busybox; its containers run one of its programs. */
  async image(): Promise<void> {
    const script =
      'tar -C /run/image -c . | docker -H unix:///run/docker.sock import --change \'ENTRYPOINT ["/bin/busybox"]\' - busybox';
    const { code, stderr } = await run(...this.#enter('sh', ['-c', script]));
    if (code !== 0) throw new Error(`no image: ${stderr}`);
  }

  /** Starts a container that does nothing, and ends at once when it is stopped. */
  async container(name: string, network: string): Promise<void> {
    await this.docker(`run -d --stop-signal KILL --net ${network} --name ${name} busybox sleep 1000`);
  }

  /** Ends the engine and everything in it. */
  async stop(): Promise<void> {
    const exited = once(this.#holder, 'exit');
    this.#holder.stdin?.end();
    await exited;
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

/** Removes empty cgroups of engines whose test process has ended, and of this process's engine. */
function clearCgroups(): void {
  for (const root of [cgroups, ...directories(cgroups)]) {
    for (const dir of directories(root)) {
      const pid = dir.startsWith(join(root, cgroupPrefix)) ? dir.slice(join(root, cgroupPrefix).length) : '';
      if (pid === String(process.pid) || (pid !== '' && !existsSync(`/proc/${pid}`))) removeEmpty(dir);
    }
  }
}

/** Removes a cgroup directory by rmdir, which works only while it has no processes. */
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

/**
 * Gives the tests of a file an engine in its own network namespace, with an image.
 * @param use receives both
 */
export function withEngine(use: (netns: Netns, engine: Dockerd) => void): void {
  let netns: Netns;
  let engine: Dockerd;
  beforeAll(async () => {
    netns = await Netns.create();
    engine = await Dockerd.start(netns);
    await engine.image();
    use(netns, engine);
  });
  afterAll(async () => {
    await engine.stop();
    await netns.delete();
  });
}

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { parseLinkNames } from '../../src/linux/links.ts';
import { run, type Run, type RunResult } from '../../src/linux/run.ts';

/**
 * A network namespace without a name or an uplink. A process holds it, which ends with this process even if that is
 * killed, so that nothing is left.
 */
export class Netns {
  readonly #holder: ChildProcess;
  readonly #spawned: ChildProcess[] = [];
  /** The holder's pid, for `ip link set … netns PID`. */
  readonly pid: number;

  private constructor(holder: ChildProcess, pid: number) {
    this.#holder = holder;
    this.pid = pid;
  }

  /** Needs root; fails without. */
  static async create(): Promise<Netns> {
    // the inner shell's echo says that the namespace exists; cat ends when we close its standard input
    const holder = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up && echo ready && exec cat'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stderr = '';
    holder.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const ready = await Promise.race([
      once(holder.stdout, 'data').then(() => true),
      once(holder, 'exit').then(() => false),
    ]);
    if (!ready || holder.pid === undefined) throw new Error(`no network namespace: ${stderr.trim()}`);
    return new Netns(holder, holder.pid);
  }

  /** Returns the command line that runs a program in this namespace. */
  enter(program: string, args: string[]): [string, string[]] {
    return ['nsenter', [`--net=/proc/${this.pid}/ns/net`, program, ...args]];
  }

  /** Returns the names of its links now. */
  readonly links = (): Set<string> => parseLinkNames(readFileSync(`/proc/${this.pid}/net/dev`, 'utf8'));

  readonly run: Run = (program, args, options) => run(...this.enter(program, args), options);

  /** `readSwitch` of src/linux/ipv6.ts for this namespace: /proc/sys/net shows the reader's namespace. */
  readonly readSwitch = async (path: string): Promise<string | undefined> => {
    const { stdout, code } = await this.run('cat', [`/proc/sys/${path}`]);
    return code === 0 ? stdout : undefined;
  };

  /** Runs a program in words separated by one space, and returns its output. Throws if it fails. */
  async sh(command: string, input?: string): Promise<string> {
    const [program = '', ...args] = command.split(' ');
    const { stdout, stderr, code } = await this.run(program, args, input === undefined ? {} : { input });
    if (code !== 0) throw new Error(`${command}: ${stderr.trim()} ${stdout.trim()}`);
    return stdout;
  }

  /** Runs a program that may fail. */
  async try(command: string): Promise<RunResult> {
    const [program = '', ...args] = command.split(' ');
    return this.run(program, args);
  }

  /** Starts a program that prints a line when it is ready, and runs until it is stopped or this process ends. */
  spawn(program: string, args: string[]): { ready: Promise<unknown>; stop: () => Promise<void> } {
    const child = spawn(...this.enter(program, args), { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#spawned.push(child);
    const ended = once(child, 'exit');
    return {
      ready: once(child.stdout, 'data'),
      stop: async () => {
        child.kill();
        await ended;
      },
    };
  }

  /** Also ends spawned programs: those of a failed test must not block the other tests. */
  async delete(): Promise<void> {
    for (const child of this.#spawned) child.kill();
    const exited = once(this.#holder, 'exit');
    this.#holder.stdin?.end();
    await exited;
  }
}

/** Connects namespaces by a bridge in a further one: each gets `eth0` with its addresses. */
export async function connect(nodes: { netns: Netns; addresses: string[] }[]): Promise<Netns> {
  const middle = await Netns.create();
  await middle.sh('ip link add sw type bridge');
  await middle.sh('ip link set sw up');
  for (const [index, { netns, addresses }] of nodes.entries()) {
    await middle.sh(`ip link add p${index} type veth peer name eth0 netns ${netns.pid}`);
    await middle.sh(`ip link set p${index} master sw up`);
    for (const address of addresses) {
      await netns.sh(`ip addr add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`);
    }
    await netns.sh('ip link set eth0 up');
  }
  return middle;
}

/**
 * Starts tcpdump in a namespace and waits until it listens. `packet` is its first line, or undefined after two seconds.
 */
export async function capture(
  netns: Netns,
  link: string,
  filter: string,
): Promise<{ packet: () => Promise<string | undefined> }> {
  const [program, args] = netns.enter('tcpdump', ['-l', '-n', '-c', '1', '-i', link, filter]);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  const ended = once(child, 'exit');
  await Promise.race([
    once(child.stderr, 'data'),
    ended.then(() => {
      throw new Error('tcpdump did not start');
    }),
  ]);
  return {
    packet: async () => {
      const timer = setTimeout(() => child.kill(), 2_000);
      await ended;
      clearTimeout(timer);
      return stdout.split('\n').find((line) => line !== '');
    },
  };
}

import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const given = new Set<number>();

/**
 * A TCP port for a server that starts later. It lies below the ports that kernels choose for outgoing connections
 * (32768 and above): one of those could take it before the server does.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(15_000, 30_000);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port);
  try {
    // it rejects with the server's error
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** A directory that remove() removes. A shell also removes it when this process ends, even if it is killed. */
export class TempDir {
  readonly path: string;
  readonly #keeper: ChildProcess;

  constructor(prefix: string) {
    this.path = mkdtempSync(path.join(tmpdir(), prefix));
    const script = 'cat >/dev/null; rm -rf "$1" || { sleep 1; rm -rf "$1"; }';
    this.#keeper = spawn('sh', ['-c', script, 'ovt-keeper', this.path], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#keeper.unref();
    // a pipe to a child is a socket, although its type does not say so
    (this.#keeper.stdin as Socket).unref();
  }

  /** Does nothing where it was removed before. */
  async remove(): Promise<void> {
    if (this.#keeper.exitCode !== null || this.#keeper.signalCode !== null) return;
    const exited = once(this.#keeper, 'exit');
    this.#keeper.ref();
    this.#keeper.stdin?.end();
    await exited;
  }
}

/** A server under test with its output in a file. It ends with this process, even if that is killed. */
export class ServerProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #log: string;

  constructor(program: string, args: string[], log: string, env: Record<string, string> = {}) {
    this.name = path.basename(program);
    this.#log = log;
    const output = openSync(log, 'a');
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], {
      stdio: ['ignore', output, output],
      detached: true,
      env: { ...process.env, ...env },
    });
    closeSync(output);
    this.#child.unref();
  }

  /** @throws Error with the end of its log if it has ended */
  check(): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return;
    const words = readFileSync(this.#log, 'utf8').trim().split('\n').slice(-5).join('\n');
    throw new Error(`${this.name} ended (${exitCode ?? signalCode}):\n${words}`);
  }

  /** Its output so far. */
  get output(): string {
    return readFileSync(this.#log, 'utf8');
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends SIGTERM, and SIGKILL if it has not ended after that many milliseconds. */
  async stop(ms: number): Promise<void> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), ms);
    await this.#end('SIGTERM');
    clearTimeout(timer);
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.ref();
    this.#child.kill(signal);
    await exited;
  }
}

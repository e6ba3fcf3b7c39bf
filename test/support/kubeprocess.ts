import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
};

/** A directory that is removed by remove(), or when this process has died in whatever way: a shell of its own waits for that. */
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
    // a pipe to a child is a socket, whatever its type says
    (this.#keeper.stdin as Socket).unref();
  }

  async remove(): Promise<void> {
    const gone = once(this.#keeper, 'exit');
    this.#keeper.ref();
    this.#keeper.stdin?.end();
    await gone;
  }
}

/** A server under test, its output in a file; it dies with this process, even when that is killed. */
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

  /** @throws Error with the end of its log once it has ended. */
  check(): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return;
    const words = readFileSync(this.#log, 'utf8').trim().split('\n').slice(-5).join('\n');
    throw new Error(`${this.name} ended (${exitCode ?? signalCode}):\n${words}`);
  }

  /** What it has printed so far. */
  get output(): string {
    return readFileSync(this.#log, 'utf8');
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGTERM, and SIGKILL where it has not ended after so many milliseconds. */
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
    const gone = once(this.#child, 'exit');
    this.#child.ref();
    this.#child.kill(signal);
    await gone;
  }
}

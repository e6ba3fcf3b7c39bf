import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { freePort, ServerProcess, TempDir } from './kubeprocess.ts';

const main = fileURLToPath(new URL('../../src/operator/main.ts', import.meta.url));

/** A real operator process, from source, serving on a free loopback port. */
export class OperatorProcess {
  readonly url: string;
  private readonly process: ServerProcess;
  private readonly temp: TempDir;

  private constructor(process: ServerProcess, temp: TempDir, port: number) {
    this.process = process;
    this.temp = temp;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(kubeconfig: string, identity = 'one', ...flags: string[]): Promise<OperatorProcess> {
    const temp = new TempDir('ovt-operator-');
    const port = await freePort();
    const args = ['--disable-warning=ExperimentalWarning', main, '--kubeconfig', kubeconfig];
    const own = ['--identity', identity, '--listen', `127.0.0.1:${port}`, ...flags];
    return new OperatorProcess(
      new ServerProcess(process.execPath, [...args, ...own], path.join(temp.path, 'log')),
      temp,
      port,
    );
  }

  get(route: string, method = 'GET'): Promise<Response> {
    return fetch(this.url + route, { method });
  }

  /** @throws Error with the end of its log once it has ended */
  check(): void {
    this.process.check();
  }

  /** How often it has logged that message, by itself or with fields. */
  said(message: string): number {
    const lines = this.process.output.split('\n');
    return lines.filter((line) => new RegExp(` operator ${message}( |$)`).test(line)).length;
  }

  signal(signal: NodeJS.Signals): void {
    this.process.signal(signal);
  }

  /** Ends it as kubelet does; by force after 10 s. */
  async stop(): Promise<void> {
    await this.process.stop(10_000);
    await this.temp.remove();
  }

  async kill(): Promise<void> {
    await this.process.kill();
    await this.temp.remove();
  }
}

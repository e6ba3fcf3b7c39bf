import path from 'node:path';
import { bundled } from '../../hack/build.ts';
import { freePort, ServerProcess, TempDir } from './kubeprocess.ts';

/** A real operator process that serves on a free loopback port. */
export class OperatorProcess {
  readonly url: string;
  readonly #process: ServerProcess;
  readonly #temp: TempDir;

  private constructor(process: ServerProcess, temp: TempDir, port: number) {
    this.#process = process;
    this.#temp = temp;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Starts the operator as it is shipped. */
  static async start(kubeconfig: string, identity = 'one', ...flags: string[]): Promise<OperatorProcess> {
    return OperatorProcess.run(await bundled('operator'), kubeconfig, identity, ...flags);
  }

  /** Starts the operator of a bundle. */
  static async run(
    file: string,
    kubeconfig: string,
    identity: string,
    ...flags: string[]
  ): Promise<OperatorProcess> {
    const temp = new TempDir('ovt-operator-');
    const port = await freePort();
    const own = [file, '--kubeconfig', kubeconfig, '--identity', identity, '--listen', `127.0.0.1:${port}`];
    return new OperatorProcess(
      new ServerProcess(process.execPath, [...own, ...flags], path.join(temp.path, 'log')),
      temp,
      port,
    );
  }

  get(route: string, method = 'GET'): Promise<Response> {
    return fetch(this.url + route, { method });
  }

  /** @throws Error with the end of its log if it has ended */
  check(): void {
    this.#process.check();
  }

  /** Returns how often it has logged that message, with or without fields. */
  logged(message: string): number {
    return this.lines(message).length;
  }

  /** The lines of its log with that message. */
  lines(message: string): string[] {
    const lines = this.#process.output.split('\n');
    return lines.filter((line) => new RegExp(` operator ${message}( |$)`).test(line));
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.signal(signal);
  }

  /** Stops it as kubelet does: SIGTERM, and SIGKILL after 10 s. */
  async stop(): Promise<void> {
    await this.#process.stop(10_000);
    await this.#temp.remove();
  }

  async kill(): Promise<void> {
    await this.#process.kill();
    await this.#temp.remove();
  }
}

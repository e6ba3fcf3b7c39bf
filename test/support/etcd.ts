import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { ServerProcess } from './kubeprocess.ts';

/** Formats command-line flags for servers written in Go. */
export const flags = (args: Record<string, string>): string[] =>
  Object.entries(args).map(([name, value]) => `--${name}=${value}`);

/** A real etcd with its data in the test's directory. It starts when it is constructed. */
export class Etcd {
  readonly url: string;
  readonly #programs: string;
  readonly #dir: string;
  #server: ServerProcess;

  /**
   * @param programs directory of etcd and etcdutl
   * @param dir directory for data, log and backup
   */
  constructor(programs: string, dir: string, port: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#programs = programs;
    this.#dir = dir;
    this.#server = this.#start();
  }

  /** @throws Error with the end of its log if it has ended */
  check(): void {
    this.#server.check();
  }

  async kill(): Promise<void> {
    await this.#server.kill();
  }

  async revision(): Promise<number> {
    const answer = await this.#post('kv/range', { key: Buffer.from('x').toString('base64') });
    return Number(((await answer.json()) as { header: { revision: string } }).header.revision);
  }

  async compact(): Promise<void> {
    await this.#post('kv/compaction', { revision: String(await this.revision()), physical: true });
  }

  /** Makes a backup as `etcdctl snapshot save` does, and replaces an earlier one. */
  async backup(): Promise<void> {
    const answer = await this.#post('maintenance/snapshot', {});
    const parts = (await answer.text()).trim().split('\n');
    const blobs = parts.map((part) => {
      const { result } = JSON.parse(part) as { result: { blob?: string } };
      return Buffer.from(result.blob ?? '', 'base64');
    });
    await writeFile(this.#backup, Buffer.concat(blobs));
  }

  /**
   * Stops etcd, replaces its data by the backup, and starts it again. It does not bump revisions, so they go back, too.
   */
  async restore(): Promise<void> {
    await this.kill();
    await rm(this.#data, { recursive: true });
    const args = ['snapshot', 'restore', this.#backup, `--data-dir=${this.#data}`];
    await promisify(execFile)(path.join(this.#programs, 'etcdutl'), args);
    this.#server = this.#start();
  }

  get #data(): string {
    return path.join(this.#dir, 'etcd');
  }

  get #backup(): string {
    return path.join(this.#dir, 'backup.db');
  }

  #start(): ServerProcess {
    const args = {
      'data-dir': this.#data,
      'unsafe-no-fsync': 'true',
      'listen-client-urls': this.url,
      'advertise-client-urls': this.url,
      'listen-peer-urls': 'http://127.0.0.1:0',
      'log-level': 'warn',
    };
    return new ServerProcess(
      path.join(this.#programs, 'etcd'),
      flags(args),
      path.join(this.#dir, 'etcd.log'),
    );
  }

  /** Calls etcd's JSON gateway: 64-bit numbers are strings, and bytes are base64. */
  async #post(call: string, body: unknown): Promise<Response> {
    const answer = await fetch(`${this.url}/v3/${call}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd ${call}: ${await answer.text()}`);
    return answer;
  }
}

import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { ServerProcess } from './kubeprocess.ts';

/** Command-line flags of servers written in Go. */
export const flags = (args: Record<string, string>): string[] =>
  Object.entries(args).map(([name, value]) => `--${name}=${value}`);

/** A real etcd whose data lies in a directory of the test's; it runs from the start. */
export class Etcd {
  readonly url: string;
  readonly #programs: string;
  readonly #dir: string;
  #server: ServerProcess;

  /** @param programs directory of etcd and etcdutl @param dir for data, log and backup */
  constructor(programs: string, dir: string, port: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#programs = programs;
    this.#dir = dir;
    this.#server = this.#start();
  }

  /** @throws Error with the end of its log once it has ended */
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

  /** What `etcdctl snapshot save` does. Replaces an earlier backup. */
  async backup(): Promise<void> {
    const answer = await this.#post('maintenance/snapshot', {});
    const parts = (await answer.text()).trim().split('\n');
    const blobs = parts.map((part) => {
      const { result } = JSON.parse(part) as { result: { blob?: string } };
      return Buffer.from(result.blob ?? '', 'base64');
    });
    await writeFile(this.#backup, Buffer.concat(blobs));
  }

  /** Stops, puts the backup in the data's place, plainly: revisions go back with it; and starts again. */
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

  /** By etcd's JSON gateway: numbers of 64 bits are strings, bytes base64. */
  async #post(call: string, body: unknown): Promise<Response> {
    const answer = await fetch(`${this.url}/v3/${call}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd ${call}: ${await answer.text()}`);
    return answer;
  }
}

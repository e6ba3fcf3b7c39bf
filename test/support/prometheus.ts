import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { command } from '../../hack/parts/command.ts';
import { textOf } from './source.ts';

/** A pod as Prometheus discovers it through the API server. */
export interface ScrapedPod {
  address: string;
  name: string;
  node: string;
  app: 'overlaynet-operator' | 'overlaynet-agent';
}

export interface Sample {
  metric: Record<string, string>;
  value: [time: number, value: string];
}

/** The shipped configuration, except the list of pods, the token and the scrape interval. */
function configuration(pods: readonly ScrapedPod[], token: string): string {
  const shipped = parse(textOf('deploy/monitoring/prometheus.yaml')) as {
    scrape_configs: Record<string, unknown>[];
  };
  const [{ kubernetes_sd_configs: _, ...job } = {}] = shipped.scrape_configs;
  // Debian's Prometheus is built without Kubernetes support, so the discovered pods are given in its own format
  const found = pods.map(({ address, name, node, app }) => ({
    targets: [address],
    labels: {
      __meta_kubernetes_pod_name: name,
      __meta_kubernetes_pod_node_name: node,
      __meta_kubernetes_pod_container_port_name: 'https',
      __meta_kubernetes_pod_label_app_kubernetes_io_name: app,
      __meta_kubernetes_pod_label_app_kubernetes_io_part_of: 'overlaynet',
    },
  }));
  const often = { scrape_interval: '1s', scrape_timeout: '1s' };
  return stringify({
    ...shipped,
    global: { ...often, evaluation_interval: '1s' },
    scrape_configs: [{ ...job, ...often, authorization: { credentials_file: token }, static_configs: found }],
  });
}

/** Debian's Prometheus in a network namespace, with the shipped configuration and rules. */
export class Prometheus {
  readonly #inside: string[];
  readonly #dir = mkdtempSync(join(tmpdir(), 'ovt-prometheus-'));
  readonly #process: ChildProcess;

  /**
   * Starts it.
   * @param inside command that runs another one in the namespace: `nsenter …`
   * @param token its token for operators and agents
   * @param env further environment variables of the process
   */
  constructor(
    inside: string[],
    pods: readonly ScrapedPod[],
    token: string,
    env: Record<string, string> = {},
  ) {
    this.#inside = inside;
    const file = (name: string, text: string) => {
      writeFileSync(join(this.#dir, name), text, { mode: 0o600 });
      return join(this.#dir, name);
    };
    const config = configuration(pods, file('token', token));
    file('rules.yaml', textOf('deploy/monitoring/rules.yaml'));
    const argv = [
      ...inside,
      'prometheus',
      `--config.file=${file('prometheus.yaml', config)}`,
      `--storage.tsdb.path=${join(this.#dir, 'data')}`,
      '--web.listen-address=127.0.0.1:9090',
    ];
    const log = openSync(this.log, 'a');
    this.#process = spawn('env', argv, { stdio: ['ignore', log, log], env: { ...process.env, ...env } });
  }

  get log(): string {
    return join(this.#dir, 'log');
  }

  /** @throws Error with Prometheus' message, or the end of its log */
  async #get<T>(path: string): Promise<T> {
    const script = `const r = await fetch('http://127.0.0.1:9090' + process.argv[1]); process.stdout.write(await r.text())`;
    const argv = [...this.#inside, process.execPath, '--input-type=module', '-e', script, path];
    const env = { ...process.env, NODE_OPTIONS: '' };
    const text = await command('env', argv, { env }).catch((error: unknown) => {
      const words = readFileSync(this.log, 'utf8').split('\n').slice(-5).join('\n');
      throw new Error(`Prometheus does not answer: ${words}`, { cause: error });
    });
    const answer = JSON.parse(text) as { status: string; error?: string; data: T };
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error ?? text}`);
    return answer.data;
  }

  async query(expression: string): Promise<Sample[]> {
    const path = `/api/v1/query?query=${encodeURIComponent(expression)}`;
    return (await this.#get<{ result: Sample[] }>(path)).result;
  }

  /** Returns the result of each pod's last scrape. */
  async targets(): Promise<Map<string, string>> {
    const { activeTargets } = await this.#get<{
      activeTargets: { labels: Record<string, string>; health: string; lastError: string }[];
    }>('/api/v1/targets');
    return new Map(
      activeTargets.map(({ labels, health, lastError }) => [
        labels.pod ?? '',
        `${labels.job ?? ''} ${lastError === '' ? health : lastError}`,
      ]),
    );
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('close', resolve));
    if (this.#process.exitCode === null && this.#process.kill('SIGKILL')) await ended;
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

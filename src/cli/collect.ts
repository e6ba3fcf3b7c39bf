import PQueue from 'p-queue';
import { messageOf } from '../error.ts';
import type { KubeObject } from '../api/types.ts';
import type { Client } from '../kube/client.ts';
import * as resources from '../kube/resources.ts';
import type { Kind } from '../rows/row.ts';
import { version, type Access } from './access.ts';
import { check } from './check.ts';
import type { Output } from './output.ts';
import { status } from './status.ts';

/** The raw content of a bundle. It may still contain secrets. */
export interface Collected {
  /** Content by path: texts, and values that become JSON. */
  files: Map<string, { value: unknown } | { text: string }>;
  /** A phrase for each part that is missing, with the reason. */
  missing: string[];
}

/** Number of lines of each container's log. */
const mostLogBytes = 2 * 1024 * 1024;
/** Number of requests that run at once. */
const atOnce = 8;
const kinds: Kind[] = ['networks', 'agents', 'blocks', 'spaces', 'findings', 'containers', 'kernel'];

/**
 * Collects everything that a maintainer needs. A part that cannot be read is noted, and the collection continues.
 * @param mostAgents maximum number of agents whose logs are read; agents that are not ready come first
 */
export async function collect(access: Access, mostAgents: number, out: Output): Promise<Collected> {
  const collector = new Collector(access, out);
  await collector.versions();
  await collector.objects();
  await collector.rows();
  await collector.answers();
  await collector.logs(mostAgents);
  return collector;
}

class Collector implements Collected {
  readonly files: Collected['files'] = new Map();
  readonly missing: string[] = [];
  #pods: resources.Pod[] = [];
  readonly #access: Access;
  readonly #out: Output;
  readonly #queue = new PQueue({ concurrency: atOnce });

  constructor(access: Access, out: Output) {
    this.#access = access;
    this.#out = out;
  }

  async versions(): Promise<void> {
    await this.#take('versions.json', async () => {
      const operator = await this.#access.page('networks', { limit: '1' }).then(
        () => this.#access.operatorVersion ?? '',
        (error: unknown) => `not known: ${messageOf(error)}`,
      );
      const server = await this.#access.api((client) =>
        client.raw({ what: 'version of the API server', method: 'GET', path: '/version' }),
      );
      return {
        value: { command: version, operator, node: process.version, server: JSON.parse(server) as unknown },
      };
    });
  }

  /** Reads overlaynet's objects, and the objects of Kubernetes on which they depend. */
  async objects(): Promise<void> {
    const { namespace } = this.#access;
    const all: resources.Resource<KubeObject>[] = [
      ...resources.ownKinds,
      resources.nodes,
      resources.serviceCIDRs,
      resources.definitions,
      resources.leases(namespace),
      resources.configMaps(namespace),
      resources.pods(namespace),
      { apiVersion: 'apps/v1', kind: 'DaemonSet', plural: 'daemonsets', namespace },
      { apiVersion: 'apps/v1', kind: 'Deployment', plural: 'deployments', namespace },
    ];
    const lists = all.map((resource) =>
      this.#take(`objects/${resource.plural}.json`, async () => ({
        value: (await this.#access.api((client) => client.list(resource))).items,
      })),
    );
    // Events of cluster-scoped objects are in the namespace default
    const events = [...new Set(['default', namespace])].map((each) =>
      this.#take(`events/${each}.json`, async () => {
        const { items } = await this.#access.api((client) => client.list(resources.events(each)));
        const ours = ({ involvedObject }: resources.Event) =>
          each === namespace || involvedObject.apiVersion?.startsWith('overlaynet.dev/') === true;
        return { value: items.filter(ours) };
      }),
    );
    await Promise.all([...lists, ...events]);
    const mine = this.files.get('objects/pods.json');
    this.#pods = mine !== undefined && 'value' in mine ? (mine.value as resources.Pod[]) : [];
  }

  /** Reads an operator's answers. For kernels and containers, the operator asks the agents. */
  async rows(): Promise<void> {
    await Promise.all(
      kinds.map((kind) =>
        this.#take(`operator/${kind}.json`, async () => {
          const value = await this.#access.all(kind);
          for (const { node, reason } of value.unanswered ?? [])
            this.missing.push(`operator/${kind}.json: what node ${node} has: ${reason}`);
          return { value };
        }),
      ),
    );
  }

  async answers(): Promise<void> {
    const captured = (work: (out: Output) => Promise<number>) => async () => {
      let text = '';
      const line = (one: string) => {
        text += `${one}\n`;
      };
      const exit = await work({ ...this.#out, colours: false, unicode: false, line, note: line, warn: line });
      return { text: `${text}exit status ${exit}\n` };
    };
    await this.#take(
      'status.txt',
      captured((out) => status(this.#access, {}, out)),
    );
    await this.#take(
      'check.txt',
      captured((out) => check(this.#access, {}, out)),
    );
  }

  async logs(mostAgents: number): Promise<void> {
    const isReady = ({ status: podStatus }: resources.Pod) =>
      podStatus?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
    const of = (name: string) =>
      this.#pods.filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/name'] === name);
    const agents = of('overlaynet-agent').toSorted((a, b) => Number(isReady(a)) - Number(isReady(b)));
    const omitted = agents.length - mostAgents;
    if (omitted > 0) this.missing.push(`logs of ${omitted} more agents: --agents takes the number of agents`);
    const operators = of('overlaynet-operator');
    if (operators.length + agents.length === 0)
      this.missing.push(`logs: no pod of an operator or agent is in namespace ${this.#access.namespace}`);
    const logs = [...operators, ...agents.slice(0, mostAgents)].flatMap((pod) => {
      const { initContainers = [], containers = [] } = pod.spec ?? {};
      return [...initContainers, ...containers].flatMap(({ name }) =>
        [false, ...(restarted(pod, name) ? [true] : [])].map((previous) =>
          this.#log(pod.metadata.name, name, previous),
        ),
      );
    });
    await Promise.all(logs);
  }

  #log(pod: string, container: string, previous: boolean): Promise<void> {
    const { namespace } = this.#access;
    const what = `log of ${pod}/${container}`;
    const path = `/api/v1/namespaces/${namespace}/pods/${encodeURIComponent(pod)}/log`;
    const query = { container, previous, timestamps: true, limitBytes: mostLogBytes, tailLines: 20_000 };
    return this.#take(`logs/${pod}/${container}${previous ? '.before' : ''}.log`, async () => ({
      text: await this.#access.api((client: Client) => client.raw({ what, method: 'GET', path, query })),
    }));
  }

  #take(path: string, work: () => Promise<{ value: unknown } | { text: string }>): Promise<void> {
    return this.#queue.add(async () => {
      this.#out.note(`collecting ${path}`);
      try {
        this.files.set(path, await work());
      } catch (error) {
        this.missing.push(`${path}: ${messageOf(error)}`);
      }
    });
  }
}

const restarted = ({ status: podStatus }: resources.Pod, container: string): boolean =>
  podStatus?.containerStatuses?.some(({ name, restartCount }) => name === container && restartCount > 0) ===
  true;

import { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import pkg from '../../package.json' with { type: 'json' };
import type { Client } from '../kube/client.ts';
import { configMaps, operatorConfigMap, pods, type Pod } from '../kube/resources.ts';
import { requestToken } from '../kube/token.ts';
import { pathOf, type Kind, type Page, type Rows } from '../rows/row.ts';
import { readNodeRoute, tracePath, type Hop } from '../rows/trace.ts';
import { apiFailure, Failure, operatorFailure } from './failure.ts';
import { ask, fingerprintOf, opened, trustFile, wayTo, type Trust, type Way } from './operator.ts';
import { messageOf } from '../error.ts';

/** How the user wants the cluster and its operator to be reached. */
export interface AccessOptions {
  kubeconfig?: string;
  context?: string;
  server?: string;
  caFile?: string;
  token?: string;
  serviceAccount?: string;
  systemNamespace: string;
}

export const version = pkg.version;
const port = 9180;
const viewer = 'overlaynet-viewer';
const inspector = 'overlaynet-inspector';

/** A cluster's operator, and its API server as the user may ask it. */
export class Access {
  readonly #options: AccessOptions;
  #client: Client | undefined;
  #way: Promise<Way> | undefined;
  #trust: Promise<Trust | undefined> | undefined;
  readonly #tokens = new Map<string, Promise<string | undefined>>();
  /** Of who answers, for messages. */
  #name = '';
  /** Of the operator, once it has answered. */
  operatorVersion: string | undefined;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  get namespace(): string {
    return this.#options.systemNamespace;
  }

  /** The API server; what it takes to reach one is loaded only where it is. @throws Failure where no kubeconfig names one */
  async #api(): Promise<Client> {
    const { connect, usersKubeconfig } = await import('../kube/client.ts');
    const { context } = this.#options;
    const kubeconfig =
      this.#options.kubeconfig ?? (process.env.KUBECONFIG === undefined ? usersKubeconfig() : undefined);
    try {
      this.#client ??= connect({
        ...(kubeconfig === undefined ? {} : { kubeconfig }),
        ...(context === undefined ? {} : { context }),
      });
      return this.#client;
    } catch (error) {
      throw new Failure(
        messageOf(error),
        'give --kubeconfig or set KUBECONFIG to a file that kubectl works with; or give --server and --token',
        error,
      );
    }
  }

  /** Runs what asks the API server. @throws Failure */
  async api<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.#api();
    try {
      return await work(client);
    } catch (error) {
      throw apiFailure(error, client.server, this.namespace);
    }
  }

  /** Pages of rows until there are no more. @throws Failure */
  async *pages<K extends Kind>(
    kind: K,
    query: Record<string, string | undefined>,
  ): AsyncGenerator<Page<Rows[K]>> {
    let token: string | undefined;
    do {
      const page = await this.page(kind, { limit: '1000', ...query, continue: token });
      yield page;
      token = page.continue;
    } while (token !== undefined);
  }

  async all<K extends Kind>(kind: K, query: Record<string, string | undefined> = {}): Promise<Page<Rows[K]>> {
    let whole: Page<Rows[K]> | undefined;
    for await (const page of this.pages(kind, query)) {
      const { items, ...rest } = page;
      whole = { ...rest, items: [...(whole?.items ?? []), ...items] };
    }
    return whole ?? { version: '', items: [], total: 0 };
  }

  async page<K extends Kind>(kind: K, query: Record<string, string | undefined>): Promise<Page<Rows[K]>> {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, value);
    const account = kind === 'containers' || kind === 'kernel' ? inspector : viewer;
    const page = await this.#answer(pathOf(kind), parameters.toString(), account);
    if (Array.isArray((page as Partial<Page<Rows[K]>>).items)) return page as Page<Rows[K]>;
    throw this.#strange();
  }

  /** How a packet goes through a node. @throws Failure */
  async trace(node: string, query: string): Promise<Hop[]> {
    const answer = await this.#answer(tracePath, `${query}&node=${encodeURIComponent(node)}`, inspector);
    try {
      return readNodeRoute(JSON.stringify(answer));
    } catch {
      throw this.#strange();
    }
  }

  #strange(): Failure {
    return new Failure(
      `what ${this.#name} answers is not an operator’s answer`,
      'does --server name an operator?',
    );
  }

  async #answer(path: string, query: string, account: string): Promise<{ version?: string }> {
    const way = await (this.#way ??= this.#find());
    this.#name = way.name;
    const send = async () =>
      ask(way, `${path}?${query}`, {
        trust: await (this.#trust ??= this.#trusted(way)),
        token: await this.#token(way, account),
      });
    let { status, body } = await send();
    if (status === 401 && this.#options.token === undefined) {
      // it has grown old while we watched
      this.#tokens.clear();
      ({ status, body } = await send());
    }
    if (status !== 200) throw operatorFailure(status, body, path, version);
    const answer = objectIn(body);
    if (answer === undefined) throw this.#strange();
    this.operatorVersion = answer.version;
    return answer;
  }

  /** A connection to the operator, held against the certificates that operators publish. @throws Failure */
  async connection(signal: AbortSignal): Promise<Duplex> {
    const way = await (this.#way ??= this.#find());
    // an operator that was restarted has another certificate
    return opened(way, await this.#trusted(way), signal);
  }

  /** A token that the operator takes for everything that it tells; undefined on a loopback address. @throws Failure */
  async freshToken(): Promise<string | undefined> {
    const way = await (this.#way ??= this.#find());
    this.#tokens.clear();
    return this.#token(way, 'overlaynet-inspector');
  }

  /** Looks for an operator anew: the one before may be gone. */
  forget(): void {
    this.#way = undefined;
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }

  #find(): Promise<Way> {
    const { server } = this.#options;
    return server === undefined ? this.#forwarded() : Promise.resolve(wayTo(server));
  }

  /** Operators' pods, those that are ready first. @throws Failure */
  async operators(): Promise<Pod[]> {
    const labelSelector = 'app.kubernetes.io/name=overlaynet-operator';
    const { items } = await this.api((client) => client.list(pods(this.namespace), { labelSelector }));
    return items.toSorted((a, b) => Number(isReady(b)) - Number(isReady(a)));
  }

  async #forwarded(): Promise<Way> {
    const [pod] = (await this.operators()).filter(({ status }) => status?.phase === 'Running');
    if (pod === undefined)
      throw new Failure(
        `no operator runs in namespace ${this.namespace}`,
        `is overlaynet installed there? kubectl get pods -n ${this.namespace}; name another namespace with --system-namespace, or give --server`,
      );
    const { name } = pod.metadata;
    return {
      name: `pod ${name}`,
      secure: true,
      open: (signal) => this.api((client) => client.forward(this.namespace, name, port, signal)),
    };
  }

  async #trusted({ secure }: Way): Promise<Trust | undefined> {
    const { caFile } = this.#options;
    if (!secure) return undefined;
    if (caFile !== undefined) return trustFile(caFile);
    const found = await this.api((client) => client.get(configMaps(this.namespace), operatorConfigMap));
    if (found === undefined)
      throw new Failure(
        `no operator has published its certificate: there is no ConfigMap ${operatorConfigMap} in ${this.namespace}`,
        'is the operator as new as this command? name another namespace with --system-namespace, or give --ca-file',
      );
    return { fingerprints: new Set(Object.values(found.data ?? {}).flatMap(fingerprints)) };
  }

  /** On a loopback address nobody is asked who he is. */
  #token({ secure }: Way, account: string): Promise<string | undefined> {
    const { token, serviceAccount = account } = this.#options;
    if (token !== undefined || !secure) return Promise.resolve(token);
    const known =
      this.#tokens.get(serviceAccount) ??
      this.api((client) => requestToken(client, this.namespace, serviceAccount));
    this.#tokens.set(serviceAccount, known);
    return known;
  }
}

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;

function fingerprints(pem: string): string[] {
  try {
    return [fingerprintOf(new X509Certificate(pem).raw)];
  } catch {
    return []; // somebody else's
  }
}

function objectIn(body: string): { version?: string } | undefined {
  try {
    const value = JSON.parse(body) as unknown;
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

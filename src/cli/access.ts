import { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import pkg from '../../package.json' with { type: 'json' };
import type { Client } from '../kube/client.ts';
import { configMaps, operatorConfigMap, pods, type Pod } from '../kube/resources.ts';
import { requestToken } from '../kube/token.ts';
import { pathOf, type Kind, type Page, type Rows } from '../rows/row.ts';
import { pathText, tracePath, type PacketPath, type PathQuery } from '../rows/path.ts';
import { readNodePeers } from '../rows/peers.ts';
import { probePath, type PeerRow } from '../rows/probe.ts';
import { limits } from '../rows/query.ts';
import { sendPath } from '../rows/send.ts';
import { apiFailure, CommandFailure, operatorFailure } from './failure.ts';
import { ask, fingerprintOf, opened, trustFile, wayTo, type Trust, type Way } from './operator.ts';
import { messageOf } from '../error.ts';

/** How the user wants to reach the cluster and its operator. */
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
const prober = 'overlaynet-prober';

/** Asks a cluster's operator and, with the user's own rights, its API server. */
export class Access {
  readonly #options: AccessOptions;
  #client: Client | undefined;
  #way: Promise<Way> | undefined;
  #trust: Promise<Trust | undefined> | undefined;
  readonly #tokens = new Map<string, Promise<string>>();
  /** Tokens that were sent to the operator. */
  readonly #sent = new Set<string>();
  /** Name of the operator that answers, for messages. */
  #name = '';
  /** The operator's version, once it has answered. */
  operatorVersion: string | undefined;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  get namespace(): string {
    return this.#options.systemNamespace;
  }

  /** Returns the API server's client; its library is loaded on demand. @throws CommandFailure if no kubeconfig names a server */
  async #api(): Promise<Client> {
    const { connect, usersKubeconfig } = await import('../kube/client.ts');
    const { context } = this.#options;
    const kubeconfig =
      this.#options.kubeconfig ?? ((process.env.KUBECONFIG ?? '') === '' ? usersKubeconfig() : undefined);
    try {
      this.#client ??= connect({
        ...(kubeconfig === undefined ? {} : { kubeconfig }),
        ...(context === undefined ? {} : { context }),
      });
      return this.#client;
    } catch (error) {
      throw new CommandFailure(
        messageOf(error),
        'the command takes the files that kubectl takes: try `kubectl cluster-info`; without any, --server, --token and --ca-file reach an operator',
        error,
      );
    }
  }

  /**
   * Runs requests to the API server.
   * @throws CommandFailure
   */
  async api<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.#api();
    try {
      return await work(client);
    } catch (error) {
      throw apiFailure(error, client.server, this.namespace);
    }
  }

  /**
   * Reads all pages of rows.
   * @throws CommandFailure
   */
  async *pages<K extends Kind>(
    kind: K,
    query: Record<string, string | undefined>,
  ): AsyncGenerator<Page<Rows[K]>> {
    let token: string | undefined;
    do {
      const page = await this.page(kind, { limit: String(limits.most), ...query, continue: token });
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
    const account = ['containers', 'kernel', 'peers'].includes(kind) ? inspector : viewer;
    const page = await this.#answer(pathOf(kind), parameters.toString(), account);
    if (Array.isArray((page as Partial<Page<Rows[K]>>).items)) return page as Page<Rows[K]>;
    throw this.#strange();
  }

  /**
   * Makes a node's agent probe peers now.
   * @throws CommandFailure
   */
  async probe(node: string, peers: readonly string[]): Promise<{ rows: PeerRow[]; problems: string[] }> {
    const answer = await this.#answer(probePath, '', prober, JSON.stringify({ node, peers }));
    try {
      return readNodePeers(JSON.stringify(answer), node);
    } catch {
      throw this.#strange();
    }
  }

  /**
   * The way of a packet.
   * @throws CommandFailure
   */
  async trace(query: PathQuery): Promise<PacketPath> {
    return this.#path(await this.#answer(tracePath, pathText(query), inspector));
  }

  /**
   * The way of a packet, and the fate of one that was sent.
   * @throws CommandFailure
   */
  async send(query: PathQuery): Promise<PacketPath> {
    const body = JSON.stringify(Object.fromEntries(new URLSearchParams(pathText(query))));
    return this.#path(await this.#answer(sendPath, '', prober, body));
  }

  #path(answer: Partial<PacketPath>): PacketPath {
    const isPath = answer.legs?.every((leg) => Array.isArray(leg.hops)) === true;
    if (!isPath || answer.from === undefined || answer.to === undefined) throw this.#strange();
    return answer as PacketPath;
  }

  #strange(): CommandFailure {
    return new CommandFailure(
      `what ${this.#name} answers is not an operator’s answer`,
      'does --server name an operator?',
    );
  }

  /** @param post body of a POST; absent for a GET */
  async #answer(path: string, query: string, account: string, post?: string): Promise<{ version?: string }> {
    const way = await (this.#way ??= this.#find());
    this.#name = way.name;
    const send = async () =>
      ask(way, query === '' ? path : `${path}?${query}`, {
        post,
        trust: await (this.#trust ??= this.#trusted(way)),
        token: await this.#token(way, account),
      });
    let { status, body } = await send();
    if (status === 401 && this.#options.token === undefined) {
      // the token expired while rows were watched
      this.#tokens.clear();
      ({ status, body } = await send());
    }
    if (status !== 200) throw operatorFailure(status, body, path, version);
    const answer = objectIn(body);
    if (answer === undefined) throw this.#strange();
    this.operatorVersion = answer.version;
    return answer;
  }

  /**
   * A connection to the operator, whose certificate is compared with those that operators publish.
   * @throws CommandFailure
   */
  async connection(signal: AbortSignal): Promise<Duplex> {
    const way = await (this.#way ??= this.#find());
    // an operator that was restarted has another certificate
    return opened(way, await this.#trusted(way), signal);
  }

  /**
   * Returns a token that gives access to all of the operator's answers; undefined on a loopback address.
   * @throws CommandFailure
   */
  async freshToken(): Promise<string | undefined> {
    const way = await (this.#way ??= this.#find());
    this.#tokens.clear();
    return this.#token(way, 'overlaynet-inspector');
  }

  /** Tokens that were sent so far: no file may contain them. */
  readonly secrets = (): string[] => [...this.#sent];

  /** Forgets the operator, so that the next request looks for one again: the last one may be gone. */
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

  /**
   * Operators' pods, ready ones first.
   * @throws CommandFailure
   */
  async operators(): Promise<Pod[]> {
    const labelSelector = 'app.kubernetes.io/name=overlaynet-operator';
    const { items } = await this.api((client) => client.list(pods(this.namespace), { labelSelector }));
    return items.toSorted((a, b) => Number(isReady(b)) - Number(isReady(a)));
  }

  async #forwarded(): Promise<Way> {
    const [pod] = (await this.operators()).filter(({ status }) => status?.phase === 'Running');
    if (pod === undefined)
      throw new CommandFailure(
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
      throw new CommandFailure(
        `no operator has published its certificate: there is no ConfigMap ${operatorConfigMap} in ${this.namespace}`,
        'is the operator as new as this command? name another namespace with --system-namespace, or give --ca-file',
      );
    return { fingerprints: new Set(Object.values(found.data ?? {}).flatMap(fingerprints)) };
  }

  /** A token for the operator. On a loopback address the operator needs none. */
  async #token({ secure }: Way, account: string): Promise<string | undefined> {
    let { token } = this.#options;
    if (token === undefined) {
      if (!secure) return undefined;
      const { serviceAccount = account } = this.#options;
      const known =
        this.#tokens.get(serviceAccount) ??
        this.api((client) => requestToken(client, this.namespace, serviceAccount));
      this.#tokens.set(serviceAccount, known);
      token = await known;
    }
    this.#sent.add(token);
    return token;
  }
}

const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;

function fingerprints(pem: string): string[] {
  try {
    return [fingerprintOf(new X509Certificate(pem).raw)];
  } catch {
    return []; // another program's
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

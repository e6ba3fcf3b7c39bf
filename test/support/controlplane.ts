import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import type { KubeObject } from '../../src/api/types.ts';
import { connect, type Client } from '../../src/kube/client.ts';
import type { Resource } from '../../src/kube/resources.ts';
import { Etcd, flags } from './etcd.ts';
import { freePort, ServerProcess, TempDir } from './kubeprocess.ts';

/** A real etcd and kube-apiserver, with the administrator's access. */
export interface ControlPlane {
  /** Path of the administrator's kubeconfig. */
  kubeconfig: string;
  /** `https://127.0.0.1:PORT` */
  server: string;
  client: Client;
  /** Runs `kubectl apply --server-side` on files, folders and kustomizations; waits until CRDs are served. */
  apply(...files: string[]): Promise<void>;
  kubectl(...args: string[]): Promise<string>;
  /** Writes a kubeconfig with the same rights for another address; returns its path. `http:` sends the token unencrypted. */
  kubeconfigAt(server: string): string;
  /** Writes a kubeconfig of a ServiceAccount, which is created with these rights if it is new, and returns its path. */
  kubeconfigFor(user: ServiceAccountUser): Promise<string>;
  stop(): Promise<void>;
}

/** A control plane that a test may break. */
export interface OwnControlPlane extends ControlPlane {
  /** After its compact() and a restart of the API server, every earlier resourceVersion is too old to watch from. */
  etcd: Etcd;
  /** Restores etcd's last backup(), as after a disaster: stops the API server before and starts it after. */
  restore(): Promise<void>;
  killApiserver(): Promise<void>;
  /** Sends SIGSTOP or SIGCONT: connections stay open, but no answer comes. */
  signalApiserver(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Starts it on the same port with the same data, and waits until it is ready. */
  startApiserver(): Promise<void>;
}

export interface ServiceAccountUser {
  name: string;
  /** Created if it is new; default: `default`. */
  namespace?: string;
  /** Rules of a ClusterRole that is made for it; absent: it has the rights that others bound to it. */
  rules?: { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] }[];
  /** Binds the token to this Node, as kubelet's tokens are. */
  node?: { name: string; uid: string };
}

/** Returns the folder of etcd, kube-apiserver and kubectl. */
export const assets = (): string => {
  const dir = process.env.KUBEBUILDER_ASSETS;
  if (dir === undefined)
    throw new Error('KUBEBUILDER_ASSETS is not set: run the tests by `npm test` or `hack/run test`');
  return dir;
};

const kubeconfigText = (server: string, certificate: string, token: string): string => {
  const trust = server.startsWith('https:')
    ? `certificate-authority: "${certificate}"`
    : 'insecure-skip-tls-verify: true';
  return `apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "${server}", ${trust}}}]
users: [{name: user, user: {token: "${token}"}}]
contexts: [{name: test, context: {cluster: test, user: user}}]
current-context: test
`;
};

interface Kubeconfig {
  clusters: [{ cluster: { server: string } }];
  users: [{ user: { token: string } }];
}

const core = (kind: string, plural: string): Resource<KubeObject> => ({ apiVersion: 'v1', kind, plural });

class Shared implements ControlPlane {
  readonly kubeconfig: string;
  readonly server: string;
  readonly client: Client;
  /** Directory of the kubeconfig and the API server's own certificate. */
  protected readonly dir: string;
  readonly #token: string;

  constructor(dir: string) {
    this.dir = dir;
    this.kubeconfig = path.join(dir, 'kubeconfig');
    const { clusters, users } = parse(readFileSync(this.kubeconfig, 'utf8')) as Kubeconfig;
    this.server = clusters[0].cluster.server;
    this.#token = users[0].user.token;
    this.client = connect({ kubeconfig: this.kubeconfig });
  }

  async apply(...files: string[]): Promise<void> {
    const apply = ['apply', '--server-side', '--force-conflicts'];
    const kustomized = files.filter((file) => existsSync(path.join(file, 'kustomization.yaml')));
    const plain = files.filter((file) => !kustomized.includes(file)).flatMap((file) => ['-f', file]);
    for (const folder of kustomized) await this.kubectl(...apply, '-k', folder);
    if (plain.length > 0) await this.kubectl(...apply, ...plain);
    const crds = await this.kubectl('get', 'crd', '-o', 'name');
    if (crds !== '')
      await this.kubectl('wait', '--for=condition=Established', '--timeout=20s', 'crd', '--all');
  }

  async kubectl(...args: string[]): Promise<string> {
    const own = ['--kubeconfig', this.kubeconfig, '--cache-dir', path.join(this.dir, 'kubectl')];
    const { stdout } = await promisify(execFile)(path.join(assets(), 'kubectl'), [...own, ...args]);
    return stdout;
  }

  kubeconfigAt(server: string): string {
    return this.#write(new URL(server).port, server, this.#token);
  }

  async kubeconfigFor({ name, namespace = 'default', rules, node }: ServiceAccountUser): Promise<string> {
    const role = `ovt-${namespace}-${name}`;
    const rbac = 'rbac.authorization.k8s.io';
    await this.client.apply(core('Namespace', 'namespaces'), { metadata: { name: namespace } });
    await this.client.apply(
      { ...core('ServiceAccount', 'serviceaccounts'), namespace },
      { metadata: { name } },
    );
    if (rules !== undefined) {
      const roles = { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', plural: 'clusterroles' };
      const bindings = { ...roles, kind: 'ClusterRoleBinding', plural: 'clusterrolebindings' };
      await this.client.apply(roles, { metadata: { name: role }, rules } as KubeObject);
      await this.client.apply(bindings, {
        metadata: { name: role },
        roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: role },
        subjects: [{ kind: 'ServiceAccount', name, namespace }],
      } as KubeObject);
    }
    const bound = node === undefined ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Node', ...node } };
    const answer = await this.client.raw({
      what: `create token of ${namespace}/${name}`,
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { expirationSeconds: 3600, ...bound },
      },
    });
    const { status } = JSON.parse(answer) as { status: { token: string } };
    return this.#write([namespace, name, node?.name ?? ''].join('-'), this.server, status.token);
  }

  async stop(): Promise<void> {
    await this.client.close();
  }

  #write(name: string, server: string, token: string): string {
    // test files that run side by side may share the directory
    const file = path.join(this.dir, `kubeconfig-${process.pid}-${name}`);
    writeFileSync(file, kubeconfigText(server, path.join(this.dir, 'apiserver.crt'), token), { mode: 0o600 });
    return file;
  }
}

class Own extends Shared implements OwnControlPlane {
  readonly etcd: Etcd;
  readonly #temp: TempDir;
  readonly #large: boolean;
  #apiserver: ServerProcess | undefined;

  static async start(large: boolean): Promise<Own> {
    const temp = new TempDir('ovt-cp-');
    try {
      const token = randomBytes(16).toString('hex');
      const { publicKey, privateKey } = generateKeyPairSync('rsa', {
        modulusLength: 2048,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
      });
      writeFileSync(path.join(temp.path, 'sa.pub'), publicKey);
      writeFileSync(path.join(temp.path, 'sa.key'), privateKey, { mode: 0o600 });
      writeFileSync(path.join(temp.path, 'tokens.csv'), `${token},admin,admin,"system:masters"\n`, {
        mode: 0o600,
      });
      const server = `https://127.0.0.1:${await freePort()}`;
      const text = kubeconfigText(server, path.join(temp.path, 'apiserver.crt'), token);
      writeFileSync(path.join(temp.path, 'kubeconfig'), text, { mode: 0o600 });
      return new Own(temp, await freePort(), large);
    } catch (error) {
      await temp.remove();
      throw error;
    }
  }

  constructor(temp: TempDir, etcdPort: number, large: boolean) {
    super(temp.path);
    this.#large = large;
    this.#temp = temp;
    this.etcd = new Etcd(assets(), temp.path, etcdPort);
  }

  async killApiserver(): Promise<void> {
    await this.#apiserver?.kill();
  }

  signalApiserver(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#apiserver?.signal(signal);
  }

  async restore(): Promise<void> {
    await this.killApiserver();
    await this.etcd.restore();
    await this.startApiserver();
  }

  async startApiserver(): Promise<void> {
    const file = (name: string) => path.join(this.dir, name);
    const args = {
      'etcd-servers': this.etcd.url,
      'bind-address': '127.0.0.1',
      // without it, the API server needs a default route; no endpoint is published
      'advertise-address': '127.0.0.1',
      'endpoint-reconciler-type': 'none',
      'secure-port': new URL(this.server).port,
      'cert-dir': this.dir,
      'service-cluster-ip-range': '10.0.0.0/24',
      'authorization-mode': 'RBAC',
      // as in clusters: the agent's init container is privileged
      'allow-privileged': 'true',
      'token-auth-file': file('tokens.csv'),
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': file('sa.pub'),
      'service-account-signing-key-file': file('sa.key'),
      // no controller-manager creates the ServiceAccount `default`
      'disable-admission-plugins': 'ServiceAccount',
      // tests compact etcd themselves
      'etcd-compaction-interval': '0',
    };
    // saves memory, unless a test needs many objects
    const env: Record<string, string> = this.#large ? {} : { GOGC: '50', GOMEMLIMIT: '400MiB' };
    const program = path.join(assets(), 'kube-apiserver');
    this.#apiserver = new ServerProcess(program, flags(args), file('apiserver.log'), env);
    await this.#ready(this.#apiserver);
  }

  override async stop(): Promise<void> {
    await super.stop();
    await this.#apiserver?.kill();
    await this.etcd.kill();
    await this.#temp.remove();
  }

  async #ready(apiserver: ServerProcess): Promise<void> {
    const until = Date.now() + 60_000;
    for (;;) {
      this.etcd.check();
      apiserver.check();
      try {
        await this.client.raw({ what: 'get /readyz', method: 'GET', path: '/readyz' }, { timeoutMs: 2000 });
        return;
      } catch (error) {
        if (Date.now() > until)
          throw new Error('kube-apiserver did not become ready in 60 s', { cause: error });
      }
      await sleep(100);
    }
  }
}

/**
 * Starts a control plane of the caller's own and waits until it is ready; call stop() in afterAll. `large`: for
 * thousands of objects.
 */
export const startControlPlane = async ({ large = false } = {}): Promise<OwnControlPlane> => {
  const own = await Own.start(large);
  try {
    await own.startApiserver();
    return own;
  } catch (error) {
    await own.stop();
    throw error;
  }
};

/** Name of the environment variable with the kubeconfig of the control plane that the files of a jest worker share. */
export const sharedBy = (worker: number | string): string => `OVT_KUBECONFIG_${worker}`;

/**
 * Returns the control plane that test/support/apiserver-setup.ts started for this worker, which must not be broken;
 * without that, starts a new one.
 */
export const controlPlane = async (): Promise<ControlPlane> => {
  const kubeconfig = process.env[sharedBy(process.env.JEST_WORKER_ID ?? 1)];
  return kubeconfig === undefined ? startControlPlane() : new Shared(path.dirname(kubeconfig));
};

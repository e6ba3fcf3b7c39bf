import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '../../src/kube/client.ts';
import type { Parts } from '../parts.ts';
import { apiAddress, hub, kubeconfig, type Lab } from './lab.ts';
import { start, until } from './processes.ts';

const inHub = (lab: Lab) => ['nsenter', `--net=/run/netns/${hub(lab)}`];
const certificate = (lab: Lab) => join(lab.dir, 'apiserver', 'apiserver.crt');
const file = (lab: Lab, name: string) => join(lab.dir, 'access', name);

export function startEtcd(lab: Lab, parts: Parts): void {
  const args = [
    ['--name=lab', `--data-dir=${join(lab.dir, 'etcd')}`, '--log-level=warn', '--unsafe-no-fsync'],
    ['--listen-client-urls=http://127.0.0.1:2379', '--advertise-client-urls=http://127.0.0.1:2379'],
    ['--listen-peer-urls=http://127.0.0.1:2380', '--initial-advertise-peer-urls=http://127.0.0.1:2380'],
    ['--initial-cluster=lab=http://127.0.0.1:2380'],
  ];
  start(lab, 'etcd', [...inHub(lab), parts.etcd, ...args.flat()]);
}

/** Makes the API server's keys and the administrator's token, once for each lab. */
export function makeCredentials(lab: Lab): void {
  mkdirSync(join(lab.dir, 'access'), { recursive: true, mode: 0o700 });
  const pem = { publicKeyEncoding: { type: 'spki', format: 'pem' } } as const;
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'sec1', format: 'pem' },
    ...pem,
  });
  writeFileSync(file(lab, 'service-account.key'), privateKey, { mode: 0o600 });
  writeFileSync(file(lab, 'service-account.pub'), publicKey);
  const token = randomBytes(16).toString('hex');
  writeFileSync(file(lab, 'tokens.csv'), `${token},admin,admin,system:masters\n`, { mode: 0o600 });
}

/** Starts kube-apiserver. On its first start it makes a certificate for its address and for `localhost`. */
export function startApiserver(lab: Lab, parts: Parts): void {
  const args = [
    ['--etcd-servers=http://127.0.0.1:2379', '--bind-address=0.0.0.0', `--advertise-address=${apiAddress}`],
    ['--secure-port=6443', `--cert-dir=${join(lab.dir, 'apiserver')}`, '--authorization-mode=RBAC'],
    [`--token-auth-file=${file(lab, 'tokens.csv')}`, '--service-cluster-ip-range=10.96.0.0/16'],
    ['--service-account-issuer=https://kubernetes.default.svc', '--allow-privileged=true'],
    [`--service-account-signing-key-file=${file(lab, 'service-account.key')}`],
    [`--service-account-key-file=${file(lab, 'service-account.pub')}`],
  ];
  start(lab, 'api', [...inHub(lab), parts.kubeApiserver, ...args.flat()]);
}

/** Writes a kubeconfig whose only user authenticates with the token. */
export function writeKubeconfig(lab: Lab, to: string, server: string, token: string): void {
  const ca = readFileSync(certificate(lab)).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    // the certificate does not contain 127.0.0.1
    clusters: [
      {
        name: lab.name,
        cluster: { server, 'certificate-authority-data': ca, 'tls-server-name': 'localhost' },
      },
    ],
    users: [{ name: 'user', user: { token } }],
    contexts: [{ name: lab.name, context: { cluster: lab.name, user: 'user' } }],
    'current-context': lab.name,
  };
  writeFileSync(to, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}

/**
 * Waits until the API server has its certificate, writes the administrator's kubeconfig, then waits until the API
 * server is ready.
 */
export async function apiReady(lab: Lab, port: number): Promise<Client> {
  const options = { lab, roles: ['api'], seconds: 240 };
  await until(
    "API server's certificate",
    () => (existsSync(certificate(lab)) && readFileSync(certificate(lab)).length > 0 ? true : undefined),
    options,
  );
  const token = readFileSync(file(lab, 'tokens.csv'), 'utf8').split(',')[0] ?? '';
  writeKubeconfig(lab, kubeconfig(lab), `https://127.0.0.1:${port}`, token);
  const client = await administrator(lab);
  await apiAnswers(lab, client);
  return client;
}

/** Returns a client with all rights. The client's library is imported here, because loading it takes time. */
export async function administrator(lab: Lab): Promise<Client> {
  const { connect } = await import('../../src/kube/client.ts');
  return connect({ kubeconfig: kubeconfig(lab) });
}

export async function apiAnswers(lab: Lab, client: Client): Promise<void> {
  const ask = () =>
    client
      .raw({ what: 'read /readyz', method: 'GET', path: '/readyz' }, { timeoutMs: 2000 })
      .catch(() => undefined);
  await until('API server ready', ask, { lab, roles: ['api'], seconds: 240 });
}

import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { buildContext } from '../../hack/build.ts';
import type { KubeObject } from '../../src/api/types.ts';
import { overlayConfigs } from '../../src/kube/resources.ts';
import { startControlPlane, type ControlPlane } from '../support/controlplane.ts';
import { OperatorProcess } from '../support/operator.ts';
import { violations } from '../support/podsecurity.ts';
import { eventually } from '../support/eventually.ts';

interface Container {
  name: string;
  args: string[];
  securityContext: { capabilities?: { add?: string[]; drop?: string[] }; privileged?: boolean };
}

interface PodSpec {
  initContainers?: Container[];
  containers: Container[];
}

type Manifest = KubeObject & { metadata: { namespace?: string }; spec?: { template?: { spec: PodSpec } } };

const file = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

let plane: ControlPlane;
let manifests: Manifest[];

const find = (kind: string, name: string): Manifest => {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined) throw new Error(`deploy/ has no ${kind} ${name}`);
  return found;
};
const podOf = (kind: string, name: string): PodSpec => find(kind, name).spec!.template!.spec;

beforeAll(async () => {
  // an own control plane: the policies would refuse what the other files write
  plane = await startControlPlane();
  const rendered = await plane.kubectl('kustomize', file('deploy'));
  manifests = parseAllDocuments(rendered).map((document) => document.toJS() as Manifest);
});

afterAll(() => plane.stop());

test('the API server accepts `kubectl apply -k deploy` completely, twice', async () => {
  const apply = () =>
    plane.kubectl('apply', '--server-side', '--force-conflicts', '--validate=strict', '-k', file('deploy'));
  const first = (await apply()).trimEnd().split('\n');
  expect(first).toHaveLength(manifests.length);
  expect((await apply()).trimEnd().split('\n')).toEqual(first);
});

test('what it installs is this', () => {
  const list = manifests.map(({ kind = '', metadata }) =>
    [kind, metadata.namespace, metadata.name].filter(Boolean).join(' '),
  );
  const system = 'overlaynet-system';
  expect(list.sort()).toEqual(
    [
      ...[
        'agentallocations',
        'allocationledgers',
        'overlayagents',
        'overlayconfigs',
        'overlaynetworks',
        'overlayreservations',
      ].map((plural) => `CustomResourceDefinition ${plural}.overlaynet.dev`),
      `Namespace ${system}`,
      `ResourceQuota ${system} overlaynet-critical-pods`,
      ...['operator', 'agent', 'viewer', 'inspector', 'prober'].flatMap((who) => [
        `ServiceAccount ${system} overlaynet-${who}`,
        `ClusterRole overlaynet-${who}`,
        `ClusterRoleBinding overlaynet-${who}`,
      ]),
      `Role ${system} overlaynet-operator`,
      `RoleBinding ${system} overlaynet-operator`,
      'Role default overlaynet-operator-events',
      'RoleBinding default overlaynet-operator-events',
      'Role default overlaynet-operator-apiservers',
      'RoleBinding default overlaynet-operator-apiservers',
      `ConfigMap ${system} overlaynet-first-config`,
      'Role default overlaynet-agent',
      'RoleBinding default overlaynet-agent',
      ...['operator', 'operator-networks', 'agent', 'agent-node', 'deletions', 'warnings'].flatMap((who) => [
        `ValidatingAdmissionPolicy overlaynet-${who}`,
        `ValidatingAdmissionPolicyBinding overlaynet-${who}`,
      ]),
      'ClusterRole overlaynet-operator-admin',
      'ClusterRole overlaynet-operator-uninstall',
      'ClusterRoleBinding overlaynet-operator-uninstall',
      'ClusterRole overlaynet-command',
      'ClusterRole overlaynet-prober-token',
      ...['view', 'edit', 'admin'].map((who) => `ClusterRole overlaynet-${who}`),
      'ClusterRole overlaynet-break-glass',
      'ClusterRoleBinding overlaynet-break-glass',
      `Deployment ${system} overlaynet-operator`,
      `DaemonSet ${system} overlaynet-agent`,
    ].sort(),
  );
});

test('the first OverlayConfig has the kustomization’s values, in any order of applying', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ovt-first-'));
  let operator: OperatorProcess | undefined;
  try {
    const [, own = ''] = /```yaml\n(# kustomization.yaml, with a first[^`]*)```/.exec(
      readFileSync(file('docs/install.md'), 'utf8'),
    )!;
    symlinkSync(file('.'), path.join(folder, 'overlaynet'));
    writeFileSync(path.join(folder, 'kustomization.yaml'), own);
    const rendered = parseAllDocuments(await plane.kubectl('kustomize', folder)).map(
      (document) => document.toJS() as Manifest & { data?: Record<string, string> },
    );
    const first = rendered.find(({ kind }) => kind === 'ConfigMap')!;
    const pod = podOf('Deployment', 'overlaynet-operator') as PodSpec & { volumes: object[] };
    const volume = { name: 'first-config', configMap: { name: first.metadata.name } };
    expect(pod.volumes.filter((one) => 'configMap' in one)).toEqual([volume]);
    const flag = '--first-config=';
    const args = pod.containers[0]!.args.filter((each) => each.startsWith(flag));
    expect(args).toEqual([`${flag}/etc/overlaynet/overlayconfig.yaml`]);
    const config = path.join(folder, path.basename(args[0]!));
    writeFileSync(config, first.data![path.basename(config)]!);
    operator = await OperatorProcess.start(plane.kubeconfig, 'one', flag + config);
    const found = await eventually(() => plane.client.get(overlayConfigs, 'default'), Boolean);
    expect(found!.spec).toMatchObject({
      vtepSubnets: ['44.200.0.0/20'],
      nodeSubnets: ['172.17.0.0/16'],
      vni: 1024,
    });
  } finally {
    await operator?.kill();
    rmSync(folder, { recursive: true });
  }
});

test('deploy/system is the same without crds/: the CRDs, and a right that outlasts the rest', async () => {
  const namesIn = async (folder: string) =>
    parseAllDocuments(await plane.kubectl('kustomize', file(folder))).map((document) => {
      const { kind, metadata } = document.toJS() as Manifest;
      return `${kind} ${metadata.name}`;
    });
  const all = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  expect([...(await namesIn('deploy/system')), ...(await namesIn('crds'))].sort()).toEqual(all.sort());
});

describe('Pod Security, level restricted, objects', () => {
  const namespace = 'ovt-restricted';

  beforeAll(() =>
    plane.client.apply(
      { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' },
      {
        metadata: {
          name: namespace,
          labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
        },
      },
    ),
  );

  test('to neither in overlaynet-system, whose level the agent needs', async () => {
    for (const [kind, name] of [
      ['Deployment', 'overlaynet-operator'],
      ['DaemonSet', 'overlaynet-agent'],
    ] as const)
      expect(await violations(plane.client, podOf(kind, name), 'overlaynet-system')).toEqual([]);
  });

  test('to nothing of the operator but the host network', async () => {
    expect(await violations(plane.client, podOf('Deployment', 'overlaynet-operator'), namespace)).toEqual([
      'host namespaces',
      'hostPort',
    ]);
  });

  test('to the parts of the agent that a node’s network needs', async () => {
    expect(await violations(plane.client, podOf('DaemonSet', 'overlaynet-agent'), namespace)).toEqual([
      'allowPrivilegeEscalation != false',
      'host namespaces',
      'hostPort',
      'privileged',
      'restricted volume types',
      'runAsNonRoot != true',
      'runAsUser=0',
      'seLinuxOptions',
      'unrestricted capabilities',
    ]);
  });
});

test('deploy/docker only gives agents the engine’s socket', async () => {
  const documents = parseAllDocuments(await plane.kubectl('kustomize', file('deploy/docker')));
  const all = documents.map((document) => document.toJS() as Manifest);
  const agent = all.find(({ kind }) => kind === 'DaemonSet')!;
  const pod = agent.spec!.template!.spec;
  const [container] = pod.containers as [Container & { volumeMounts: object[] }];
  expect(container.args.pop()).toBe('--docker-socket=/host/run/docker.sock');
  expect(container.volumeMounts.pop()).toEqual({
    name: 'host-run',
    mountPath: '/host/run',
    readOnly: true,
    mountPropagation: 'HostToContainer',
  });
  expect((pod as { volumes?: object[] }).volumes?.pop()).toMatchObject({ hostPath: { path: '/run' } });
  expect(all.map((one) => JSON.stringify(one)).sort()).toEqual(
    manifests.map((one) => JSON.stringify(one)).sort(),
  );
  const apply = ['apply', '--server-side', '--force-conflicts', '--validate=strict', '--dry-run=server'];
  await plane.kubectl(...apply, '-k', file('deploy/docker'));
});

test('deploy/cleanup is accepted; it has the agent’s rights on the node, and no API rights', async () => {
  const folder = file('deploy/cleanup');
  await plane.kubectl('apply', '--server-side', '--validate=strict', '-k', folder);
  const all = parseAllDocuments(await plane.kubectl('kustomize', folder)).map(
    (document) => document.toJS() as Manifest,
  );
  expect(all.map(({ kind }) => kind)).toEqual(['Namespace', 'DaemonSet']);
  const pod = all[1]!.spec!.template!.spec as PodSpec & { automountServiceAccountToken?: boolean };
  expect(pod.automountServiceAccountToken).toBe(false);
  const [cleanup] = pod.initContainers!;
  expect(cleanup!.args).toEqual(['cleanup', '--host-root=/host', '--docker-socket=/run/docker.sock']);
  const [agent] = podOf('DaemonSet', 'overlaynet-agent').containers;
  expect(cleanup!.securityContext).toEqual(agent!.securityContext);
});

test('the agent is not privileged: it has only root’s network capabilities', () => {
  const { containers, initContainers } = podOf('DaemonSet', 'overlaynet-agent');
  expect(containers.map(({ name }) => name)).toEqual(['agent']);
  expect(containers[0]!.securityContext).toEqual({
    runAsUser: 0,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
  });
  expect(initContainers!.map(({ name, args }) => [name, args])).toEqual([
    ['install', ['install', '--host-root=/host']],
  ]);
});

describe.each(['operator', 'agent'])('the image of the %s', (name) => {
  let dir: string;

  beforeAll(async () => {
    await buildContext();
    dir = mkdtempSync(path.join(tmpdir(), 'ovt-image-'));
  }, 180_000);

  afterAll(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  test('starts from the files that its Dockerfile copies, with the manifest’s arguments known', async () => {
    const dockerfile = readFileSync(file(`deploy/${name}.Dockerfile`), 'utf8');
    for (const [, from = '', to = ''] of dockerfile.matchAll(/^COPY (\S+) (\S+)$/gm)) {
      mkdirSync(path.dirname(path.join(dir, to)), { recursive: true });
      cpSync(path.join(file('dist'), from), path.join(dir, to), { recursive: true });
    }
    const [program, script] = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)![1]!) as [string, string];
    expect(program).toBe('node');
    const pod =
      name === 'operator'
        ? podOf('Deployment', 'overlaynet-operator')
        : podOf('DaemonSet', 'overlaynet-agent');
    const optional = name === 'agent' ? [{ args: ['run', '--docker-socket=/host/run/docker.sock'] }] : [];
    for (const { args } of [...(pod.initContainers ?? []), ...pod.containers, ...optional]) {
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [
        path.join(dir, script),
        ...args,
        '--help',
      ]);
      expect(stderr).toBe('');
      for (const flag of args.filter((arg) => arg.startsWith('--')))
        expect(stdout).toContain(flag.split('=')[0]);
    }
  });
});

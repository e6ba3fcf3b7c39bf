import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { buildBundles } from '../../hack/build.ts';
import type { KubeObject } from '../../src/api/types.ts';
import { ApiError } from '../../src/kube/client.ts';
import { controlPlane, type ControlPlane } from '../support/controlplane.ts';

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
  plane = await controlPlane();
  const rendered = await plane.kubectl('kustomize', file('deploy'));
  manifests = parseAllDocuments(rendered).map((document) => document.toJS() as Manifest);
}, 90_000);

afterAll(() => plane.stop());

test('`kubectl apply -k deploy` is accepted whole, twice', async () => {
  const apply = () =>
    plane.kubectl('apply', '--server-side', '--force-conflicts', '--validate=strict', '-k', file('deploy'));
  const first = (await apply()).trimEnd().split('\n');
  expect(first).toHaveLength(manifests.length);
  expect((await apply()).trimEnd().split('\n')).toEqual(first);
}, 60_000);

test('what it installs is this', () => {
  const list = manifests.map(({ kind = '', metadata }) =>
    [kind, metadata.namespace, metadata.name].filter(Boolean).join(' '),
  );
  const system = 'overlaynet-system';
  expect(list.sort()).toEqual(
    [
      ...['agentallocations', 'allocationledgers', 'overlayagents', 'overlayconfigs', 'overlaynetworks'].map(
        (plural) => `CustomResourceDefinition ${plural}.overlaynet.dev`,
      ),
      `Namespace ${system}`,
      ...['operator', 'agent', 'viewer'].flatMap((who) => [
        `ServiceAccount ${system} overlaynet-${who}`,
        `ClusterRole overlaynet-${who}`,
        `ClusterRoleBinding overlaynet-${who}`,
      ]),
      `Role ${system} overlaynet-operator`,
      `RoleBinding ${system} overlaynet-operator`,
      'Role default overlaynet-operator-events',
      'RoleBinding default overlaynet-operator-events',
      'ValidatingAdmissionPolicy overlaynet-agent',
      'ValidatingAdmissionPolicyBinding overlaynet-agent',
      `Deployment ${system} overlaynet-operator`,
      `DaemonSet ${system} overlaynet-agent`,
    ].sort(),
  );
});

test('deploy/system is the same less the CRDs', async () => {
  const kinds = parseAllDocuments(await plane.kubectl('kustomize', file('deploy/system'))).map(
    (document) => (document.toJS() as Manifest).kind,
  );
  const others = manifests.map(({ kind }) => kind).filter((kind) => kind !== 'CustomResourceDefinition');
  expect(kinds.sort()).toEqual(others.sort());
});

describe('Pod Security, level restricted, objects', () => {
  const namespace = 'ovt-restricted';

  beforeAll(() =>
    plane.client.apply(
      { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' },
      {
        metadata: {
          name: namespace,
          // of a version, since later ones look at more: 1.34 at the host of probes, which is the node's loopback
          labels: {
            'pod-security.kubernetes.io/enforce': 'restricted',
            'pod-security.kubernetes.io/enforce-version': 'v1.31',
          },
        },
      },
    ),
  );

  /** What the API server's own check finds in a pod of that template, one a line. */
  async function violations(spec: PodSpec): Promise<string[]> {
    const create = plane.client.raw({
      what: 'create pod',
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/pods`,
      query: { dryRun: 'All' },
      body: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'ovt-pod' },
        spec: { ...spec, priorityClassName: '' },
      },
    });
    const words = await create.then(
      () => '',
      (error: unknown) => {
        if (error instanceof ApiError && error.status === 403) return error.message;
        throw error;
      },
    );
    const [, list = ''] = words.split(/violates PodSecurity "[^"]*": /);
    return list
      .split(/\), /)
      .map((violation) => violation.replace(/ \(.*/, ''))
      .sort();
  }

  test('to nothing of the operator but the host network', async () => {
    expect(await violations(podOf('Deployment', 'overlaynet-operator'))).toEqual([
      'host namespaces',
      'hostPort',
    ]);
  });

  test('to of the agent what a node’s network needs', async () => {
    expect(await violations(podOf('DaemonSet', 'overlaynet-agent'))).toEqual([
      'allowPrivilegeEscalation != false',
      'host namespaces',
      'hostPort',
      'privileged',
      'restricted volume types',
      'runAsNonRoot != true',
      'runAsUser=0',
      'unrestricted capabilities',
    ]);
  });
});

test('the agent is not privileged: of root’s capabilities it has the network’s', () => {
  const { containers, initContainers } = podOf('DaemonSet', 'overlaynet-agent');
  expect(containers.map(({ name }) => name)).toEqual(['agent']);
  expect(containers[0]!.securityContext).toEqual({
    runAsUser: 0,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
  });
  expect(initContainers!.map(({ name, args }) => [name, args])).toEqual([['install', ['install']]]);
});

describe.each(['operator', 'agent'])('the image of the %s', (name) => {
  let dir: string;

  beforeAll(async () => {
    await buildBundles();
    dir = mkdtempSync(path.join(tmpdir(), 'ovt-image-'));
  }, 60_000);

  afterAll(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  test('starts from the files that its Dockerfile copies, with the manifest’s arguments known', async () => {
    const dockerfile = readFileSync(file(`deploy/${name}.Dockerfile`), 'utf8');
    for (const [, from = '', to = ''] of dockerfile.matchAll(/^COPY (\S+) (\S+)$/gm)) {
      mkdirSync(path.dirname(path.join(dir, to)), { recursive: true });
      copyFileSync(path.join(file('dist'), from), path.join(dir, to));
    }
    const [program, script] = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)![1]!) as [string, string];
    expect(program).toBe('node');
    const pod =
      name === 'operator'
        ? podOf('Deployment', 'overlaynet-operator')
        : podOf('DaemonSet', 'overlaynet-agent');
    for (const { args } of [...(pod.initContainers ?? []), ...pod.containers]) {
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [
        path.join(dir, script),
        ...args,
        '--help',
      ]);
      expect(stderr).toBe('');
      for (const flag of args.filter((arg) => arg.startsWith('--')))
        expect(stdout).toContain(flag.split('=')[0]);
    }
  }, 30_000);
});

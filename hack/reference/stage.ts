import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubeObject } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import { namespaceMetadata, pods, type Pod, type Resource } from '../../src/kube/resources.ts';
import { bundle } from '../build.ts';
import { command, CommandFailed } from '../parts/command.ts';
import type { Parts } from '../parts.ts';
import { addContainer, removeContainer, startInContainer, type Container } from '../testbed/containers.ts';
import { administrator } from '../testbed/controlplane.ts';
import { runningLab, type Lab } from '../testbed/lab.ts';
import { until } from '../testbed/processes.ts';
import { record } from './record.ts';
import type { Typed } from './transcript.ts';

const namespace = 'shop';
const serviceAccounts: Resource<KubeObject> = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  namespace,
};
/** The pods that the lines name. */
const cast = [
  { node: 'node2', name: 'web-0' },
  { node: 'node3', name: 'db-0' },
];

/**
 * Types every line in a running lab: three nodes with deploy/samples/overlay.yaml, and the pods of the cast, which are gone
 * afterwards. The namespace stays, because a lab has no controller that could delete it.
 */
export async function typeInLab(name: string): Promise<Typed[]> {
  const lab = runningLab(name);
  const parts = JSON.parse(readFileSync(join(lab.dir, 'parts.json'), 'utf8')) as Parts;
  const env = environmentOf(lab);
  const directory = mkdtempSync(join(tmpdir(), 'overlaynet-command-'));
  const client = await administrator(lab);
  const containers: Container[] = [];
  try {
    const program = join(directory, 'kubectl-overlay');
    await bundle('cli', program);
    await client.apply(namespaceMetadata, { metadata: { name: namespace } });
    // without it the API server refuses every pod
    await client.apply(serviceAccounts, { metadata: { name: 'default' } });
    for (const one of cast) containers.push(await startPod(lab, parts, client, one));
    await settled(program, { ...process.env, ...env });
    return await record(program, env);
  } finally {
    for (const container of containers) await removeContainer(lab, parts, container);
    for (const one of cast) await deletePod(client, one.name);
    await client.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The variables that a shell gets from the lab's file. */
const environmentOf = (lab: Lab): Record<string, string> =>
  Object.fromEntries(
    readFileSync(join(lab.dir, 'env'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => [line.replace(/=.*/, ''), line.replace(/^[^=]*=/, '')]),
  );

/** A Pod and a container that its node joined to dcos for it, as kubelet and runtime do it. */
async function startPod(
  lab: Lab,
  parts: Parts,
  client: Client,
  { node, name }: { node: string; name: string },
): Promise<Container> {
  const spec = { nodeName: node, containers: [{ name: 'c', image: 'x' }] };
  const pod = await client.create<Pod>(pods(namespace), { metadata: { name }, spec });
  process.env.CNI_ARGS = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name}`;
  try {
    const container = await addContainer(lab, parts, { node, network: 'dcos', name });
    startInContainer(lab, container, ['sleep', 'infinity']);
    const conditions = [{ type: 'Ready', status: 'True' }];
    const podIPs = container.addresses.map((ip) => ({ ip }));
    await client.updateStatus<Pod>(pods(namespace), {
      ...pod,
      status: { phase: 'Running', podIPs, conditions },
    });
    return container;
  } finally {
    delete process.env.CNI_ARGS;
  }
}

/** At once: no kubelet is there to end it. */
async function deletePod(client: Client, name: string): Promise<void> {
  await client.raw({
    what: `delete pods/${name}`,
    method: 'DELETE',
    path: `/api/v1/namespaces/${namespace}/pods/${name}`,
    query: { gracePeriodSeconds: 0 },
  });
}

/** Waits until the cluster is healthy, and all that is known of it agrees. */
async function settled(program: string, env: NodeJS.ProcessEnv): Promise<void> {
  for (const line of [['status'], ['check']])
    await until(
      `kubectl overlay ${line.join(' ')} finds nothing wrong`,
      () =>
        command(program, line, { env }).catch((error: unknown) => {
          if (error instanceof CommandFailed) return undefined;
          throw error;
        }),
      { seconds: 120 },
    );
}

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { kubectl } from '../kind/cluster.ts';
import { installation, root, type Lab } from '../testbed/lab.ts';

/** A network with both families, because upstream's specs expect dual-stack pods. */
const network = {
  apiVersion: 'overlaynet.dev/v1alpha1',
  kind: 'OverlayNetwork',
  metadata: { name: 'dcos' },
  spec: {
    subnets: [
      { cidr: '9.0.0.0/8', prefix: 24 },
      { cidr: 'fd01:b::/64', prefix: 80 },
    ],
  },
};

/** Applies the network. Retries, because CRDs are served a moment after they were applied. */
async function applyNetwork(lab: Lab): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await kubectl(lab, ['apply', '-f', '-'], JSON.stringify(network));
      return;
    } catch (error) {
      if (tries === 20) throw error;
      await sleep(500);
    }
  }
}

/** Lets every node run pods and gives each its own zone: some specs need three nodes or three zones. */
async function spread(lab: Lab): Promise<void> {
  const role = 'node-role.kubernetes.io/control-plane';
  await kubectl(lab, ['taint', 'nodes', '-l', role, `${role}-`]);
  const nodes = (await kubectl(lab, ['get', 'nodes', '-o', 'name']))
    .split('\n')
    .filter((name) => name !== '');
  for (const [index, node] of nodes.entries())
    await kubectl(lab, ['label', node, `topology.kubernetes.io/zone=zone-${index + 1}`]);
}

/**
 * Installs overlaynet from deploy/ with a dual-stack default network and waits until nodes, agents and DNS are ready.
 */
export async function install(lab: Lab): Promise<void> {
  await spread(lab);
  await kubectl(lab, ['apply', '-k', join(root, 'deploy')]);
  await applyNetwork(lab);
  await kubectl(lab, ['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=180s']);
  for (const [namespace, workload] of [
    [installation, 'deployment/overlaynet-operator'],
    [installation, 'daemonset/overlaynet-agent'],
    ['kube-system', 'deployment/coredns'],
  ] as const)
    await kubectl(lab, ['-n', namespace, 'rollout', 'status', '--timeout=180s', workload]);
}

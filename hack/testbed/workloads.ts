import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentAllocation } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import { agentAllocations, nodes, overlayAgents, type Node } from '../../src/kube/resources.ts';
import { environmentOf } from '../build.ts';
import { commandLine } from '../parts/command.ts';
import { addressesOf, hub, kubeconfig, root, UserError, type Lab } from './lab.ts';
import { addNamespace, inNode, removeNamespace } from './namespaces.ts';
import { leaderOf, start, until } from './processes.ts';
import { writeAccess } from './install.ts';

const bundle = (name: string) => join(root, 'dist', `${name}.js`);
const run = (name: string, file = bundle(name)) => [process.execPath, file];

const refuseSecond = (lab: Lab, role: string) => {
  if (leaderOf(lab, role)) throw new UserError(`${role} is running already`);
};

/**
 * Starts operator 1, 2 …, all at ports from 9181 on.
 * @param address in the hub; its loopback unless told
 * @param file of another version's bundle
 */
export function startOperator(lab: Lab, number: number, address = '127.0.0.1', file?: string): void {
  const role = `operator-${number}`;
  if (!existsSync(kubeconfig(lab, 'operator')) || number < 1 || number > 8) {
    throw new UserError(`no operator ${number}: the lab has operators 1 and 2`);
  }
  refuseSecond(lab, role);
  const flags = ['--kubeconfig', kubeconfig(lab, 'operator'), '--listen', `${address}:${9180 + number}`];
  const inHub = ['nsenter', `--net=/run/netns/${hub(lab)}`];
  const argv = [...inHub, ...run('operator', file), ...flags, '--identity', role];
  start(lab, role, argv, { env: environmentOf('operator') });
}

/**
 * Starts a node's agent; its own endpoints are at port 9181.
 * @param address of the node; its loopback unless told
 * @param file of another version's bundle
 */
export function startAgent(lab: Lab, node: string, address = '127.0.0.1', file?: string): void {
  const role = `agent-${node}`;
  refuseSecond(lab, role);
  const flags = [
    '--node',
    node,
    '--addresses',
    addressesOf(node).join(),
    '--kubeconfig',
    kubeconfig(lab, node),
    '--cni-plugin',
    join(root, 'dist', 'cni', 'overlaynet'),
    '--listen',
    `${address}:9181`,
  ];
  const argv = [...inNode(lab, node), ...run('agent', file), 'run', ...flags];
  start(lab, role, argv, { node, env: environmentOf('agent') });
}

/** Prepares a node's system, as the privileged init container does. */
export async function installNode(lab: Lab, node: string): Promise<void> {
  await commandLine([...inNode(lab, node), ...run('agent'), 'install']);
}

/** Creates the Node object and the kubeconfig of its agent. The first node has no bridges, as in the reference. */
export async function registerNode(lab: Lab, client: Client, name: string): Promise<void> {
  const bridges: Record<string, string> = name === 'node1' ? { 'overlaynet.dev/bridges': 'false' } : {};
  const node: Node = await client.create(nodes, {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...bridges } },
    status: {
      addresses: [
        ...addressesOf(name).map((address) => ({ type: 'InternalIP', address })),
        { type: 'Hostname', address: name },
      ],
    },
  });
  await writeAccess(lab, client, name, 'overlaynet-agent', { name, uid: node.metadata.uid ?? '' });
}

/** The operators that run now; with an agent's, theirs are the logs that explain a missing allocation. */
const operators = (lab: Lab) => ['operator-1', 'operator-2'].filter((role) => leaderOf(lab, role));

/** Waits until the operator has given the node its tunnel endpoint and its blocks. */
export function allocated(
  lab: Lab,
  client: Client,
  node: string,
  networks: number,
): Promise<AgentAllocation> {
  return until(
    `allocation of ${node}`,
    async () => {
      const found = await client.get(agentAllocations, node);
      return found?.spec.vtep && (found.spec.networks ?? []).length >= networks ? found : undefined;
    },
    { lab, roles: [`agent-${node}`, ...operators(lab)] },
  );
}

/** Waits until the node's agent reports each of its networks OK. */
export async function working(lab: Lab, client: Client, node: string, networks: number): Promise<void> {
  await until(
    `networks of ${node}`,
    async () => {
      const all = (await client.get(overlayAgents, node))?.status?.networks ?? [];
      return all.length >= networks && all.every((one) => one.state === 'OK') ? true : undefined;
    },
    { lab, roles: [`agent-${node}`] },
  );
}

export async function addNode(lab: Lab, client: Client, node: string): Promise<void> {
  addressesOf(node); // refuses a name that cannot be
  if (leaderOf(lab, `namespace-${node}`)) throw new UserError(`lab ${lab.name} has a node "${node}" already`);
  await Promise.all([addNamespace(lab, node), registerNode(lab, client, node)]);
  await installNode(lab, node);
  startAgent(lab, node);
}

/** Pulls the node out as if its machine had died, and deletes its Node object. */
export async function removeNode(lab: Lab, client: Client, node: string): Promise<void> {
  inNode(lab, node); // refuses a node that isn't there
  await removeNamespace(lab, node);
  await client.delete(nodes, node);
}

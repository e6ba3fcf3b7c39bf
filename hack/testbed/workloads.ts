import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentAllocation } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import { agentAllocations, nodes, overlayAgents, type Node } from '../../src/kube/resources.ts';
import { agentAudience } from '../../src/rows/row.ts';
import { environmentOf } from '../build.ts';
import { commandLine } from '../parts/command.ts';
import { addressesOf, hub, kubeconfig, root, UserError, type Lab } from './lab.ts';
import { addNamespace, inNode, removeNamespace } from './namespaces.ts';
import { leaderOf, start, until } from './processes.ts';
import { tokenFor, writeAccess } from './install.ts';

const bundle = (name: string) => join(root, 'dist', `${name}.js`);
const run = (name: string, file = bundle(name)) => [process.execPath, file];

const refuseSecond = (lab: Lab, role: string) => {
  if (leaderOf(lab, role)) throw new UserError(`${role} is running already`);
};

/**
 * Starts operator 1, 2 …; each listens on ports from 9181.
 * @param address its address in the hub; default: loopback
 * @param file another version's bundle
 */
export function startOperator(lab: Lab, number: number, address = '127.0.0.1', file?: string): void {
  const role = `operator-${number}`;
  if (!existsSync(kubeconfig(lab, 'operator')) || number < 1 || number > 8) {
    throw new UserError(`no operator ${number}: the lab has operators 1 and 2`);
  }
  refuseSecond(lab, role);
  const flags = [
    ...['--kubeconfig', kubeconfig(lab, 'operator'), '--listen', `${address}:${9180 + number}`],
    ...['--agent-port', String(agentPort), '--agent-token-file', agentToken(lab)],
  ];
  const inHub = ['nsenter', `--net=/run/netns/${hub(lab)}`];
  const argv = [...inHub, ...run('operator', file), ...flags, '--identity', role];
  start(lab, role, argv, { env: environmentOf('operator') });
}

/** Port on which every node's agent listens. */
export const agentPort = 9181;

/** File with the operators' token for agents, which kubelet would write for the operator's pod. */
const agentToken = (lab: Lab) => join(lab.dir, 'access', 'agents.token');

/** Writes the operators' token for agents. */
export async function writeAgentToken(lab: Lab, client: Client): Promise<void> {
  writeFileSync(
    agentToken(lab),
    await tokenFor(client, 'overlaynet-operator', { audiences: [agentAudience] }),
    {
      mode: 0o600,
    },
  );
}

/**
 * Starts a node's agent, which serves HTTPS at the node's address, as in a cluster.
 * @param file another version's bundle
 */
export function startAgent(lab: Lab, node: string, file?: string): void {
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
    `${addressesOf(node)[0]}:${agentPort}`,
  ];
  const argv = [...inNode(lab, node), ...run('agent', file), 'run', ...flags];
  start(lab, role, argv, { node, env: environmentOf('agent') });
}

/** Prepares a node's system, as the privileged init container does. */
export async function installNode(lab: Lab, node: string): Promise<void> {
  await commandLine([...inNode(lab, node), ...run('agent'), 'install']);
}

/**
 * Creates the Node object and the kubeconfig of its agent. The first node has no bridges, as in the reference cluster.
 */
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

/** The running operators: their logs, and the agent's, explain a missing allocation. */
const operators = (lab: Lab) => ['operator-1', 'operator-2'].filter((role) => leaderOf(lab, role));

/** Waits until the operator has allocated the node's VTEP and blocks. */
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

/** Waits until the node's agent reports each of its networks as OK. */
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
  addressesOf(node); // throws for a bad name
  if (leaderOf(lab, `namespace-${node}`)) throw new UserError(`lab ${lab.name} has a node "${node}" already`);
  await Promise.all([addNamespace(lab, node), registerNode(lab, client, node)]);
  await installNode(lab, node);
  startAgent(lab, node);
}

/** Removes the node as if its machine had died, and deletes its Node object. */
export async function removeNode(lab: Lab, client: Client, node: string): Promise<void> {
  inNode(lab, node); // throws if the node does not exist
  await removeNamespace(lab, node);
  await client.delete(nodes, node);
}

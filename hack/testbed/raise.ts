import { messageOf } from '../../src/error.ts';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { AgentAllocation, KubeObject, OverlayNetwork } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import { agentAllocations, overlayNetworks } from '../../src/kube/resources.ts';
import { say } from '../parts/progress.ts';
import type { Parts } from '../parts.ts';
import { addContainer, startInContainer, type Container } from './containers.ts';
import { apiReady, makeCredentials, startApiserver, startEtcd } from './controlplane.ts';
import { startForwarder } from './forward.ts';
import { applyDeployment, kubectl, writeAccess } from './install.ts';
import { kubeconfig, UserError, type Lab } from './lab.ts';
import { addHub, addNamespace } from './namespaces.ts';
import { ping, pingsAmong } from './pings.ts';
import { until } from './processes.ts';
import { report, type RaisedLab } from './report.ts';
import {
  allocated,
  installNode,
  registerNode,
  startAgent,
  startOperator,
  working,
  writeAgentToken,
} from './workloads.ts';

export interface LabRequest {
  lab: Lab;
  parts: Parts;
  nodes: number;
  /** Manifest to apply. */
  overlay: string;
  /** Resolves when the programs are in dist/. */
  built: Promise<void>;
}

/** Returns the names of the OverlayNetworks in a manifest. Throws UserError if it cannot be read. */
export const networksIn = (file: string): string[] =>
  objectsIn(file).flatMap(({ kind, metadata }) => (kind === 'OverlayNetwork' ? [metadata.name] : []));

function objectsIn(file: string): KubeObject[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`--overlay: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return parseAllDocuments(text)
    .map((one) => one.toJS() as KubeObject | null)
    .filter((one) => one !== null);
}

/** Waits until the operator has accepted the network. Throws UserError with its message if the network is refused. */
async function accepted(lab: Lab, client: Client, name: string): Promise<void> {
  await until(
    `network ${name} accepted`,
    async () => {
      const network: OverlayNetwork | undefined = await client.get(overlayNetworks, name);
      const condition = network?.status?.conditions?.find((one) => one.type === 'Accepted');
      if (condition?.status === 'False') {
        throw new UserError(`network ${name} is refused: ${condition.reason}: ${condition.message}`);
      }
      return condition?.status === 'True' ? true : undefined;
    },
    { lab, roles: ['operator-1', 'operator-2'] },
  );
}

/** Waits until the network's status includes its agents. */
async function counted(lab: Lab, client: Client, name: string): Promise<void> {
  await until(
    `status of network ${name}`,
    async () => {
      const [network, { items }] = await Promise.all([
        client.get(overlayNetworks, name),
        client.list(agentAllocations),
      ]);
      const holders = items.filter(({ spec }) => spec.networks?.some((one) => one.name === name) === true);
      return network?.status?.agents?.ready === holders.length ? true : undefined;
    },
    { lab, roles: ['operator-1', 'operator-2'] },
  );
}

async function addContainers(request: LabRequest, client: Client): Promise<Container[]> {
  const { lab, parts } = request;
  const { items } = await client.list(agentAllocations);
  const places = items.flatMap(({ metadata, spec }) =>
    (spec.networks ?? [])
      .filter((network) => network.subnets.some((subnet) => subnet.bridges?.cni !== undefined))
      .map((network) => ({ node: metadata.name, network: network.name, name: network.name })),
  );
  const containers = await Promise.all(places.map((place) => addContainer(lab, parts, place)));
  for (const container of containers) startInContainer(lab, container, ['sleep', 'infinity']);
  return containers;
}

/** Starts the nodes' agents and waits until each has configured its networks. Returns the AgentAllocations. */
async function startAgents(
  lab: Lab,
  client: Client,
  names: string[],
  networks: string[],
  done: (what: string) => void,
): Promise<AgentAllocation[]> {
  for (const node of names) {
    startAgent(lab, node);
    const { spec } = await allocated(lab, client, node, Math.min(networks.length, 1));
    done(`${node} allocated: VTEP ${spec.vtep?.ip ?? spec.vtep?.ip6 ?? ''}`);
  }
  const { items: allocations } = await client.list(agentAllocations);
  await Promise.all(
    allocations.map((one) => working(lab, client, one.metadata.name, (one.spec.networks ?? []).length)),
  );
  for (const network of networks) await counted(lab, client, network);
  done('every node reports its networks OK');
  return allocations;
}

/** Writes the file that tells shells and `hack/lab` how to reach the lab. */
function writeEnvironment(lab: Lab, stateURL: string): void {
  const environment = {
    KUBECONFIG: kubeconfig(lab),
    STATE_URL: stateURL,
    // for `kubectl overlay`
    OVERLAYNET_SERVER: new URL(stateURL).origin,
  };
  const lines = Object.entries(environment).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(join(lab.dir, 'env'), lines.join(''));
}

/** Throws an error that names the pings which got no answer, if there are any. */
function assertAnswered(pings: RaisedLab['pings']): void {
  const lost = pings.filter((one) => one.received < one.sent);
  if (lost.length > 0) {
    throw new Error(
      `no answer: ${lost.map((one) => `${one.from.node}/${one.from.name} to ${one.to}`).join(', ')}`,
    );
  }
}

/** Brings a lab up, from nothing to answered pings. Throws if any step fails; the caller then removes the rest. */
export async function raise(request: LabRequest): Promise<RaisedLab> {
  const { lab, parts } = request;
  const begin = performance.now();
  const done = (what: string) => {
    say(`${((performance.now() - begin) / 1000).toFixed(1).padStart(6)} s  ${what}`);
  };
  const names = Array.from({ length: request.nodes }, (_, index) => `node${index + 1}`);

  await addHub(lab);
  makeCredentials(lab);
  startEtcd(lab, parts);
  startApiserver(lab, parts);
  const ports = await startForwarder(lab);
  done('etcd and kube-apiserver started');
  const prepare = async () => {
    await Promise.all(names.map((node) => addNamespace(lab, node)));
    await request.built;
    await Promise.all(names.map((node) => installNode(lab, node)));
  };
  const [client] = await Promise.all([apiReady(lab, ports.api), prepare()]);
  done(`API server ready, ${names.length} nodes prepared`);
  await applyDeployment(lab, parts, client);
  done('CRDs, rights and policies applied');
  const applied = kubectl(lab, parts, ['apply', '-f', request.overlay]);
  // the file goes first, because an operator creates a missing OverlayConfig with its own values
  if (objectsIn(request.overlay).some(({ kind }) => kind === 'OverlayConfig')) await applied;
  await writeAccess(lab, client, 'operator', 'overlaynet-operator');
  await writeAgentToken(lab, client);
  startOperator(lab, 1);
  startOperator(lab, 2);
  for (const node of names) await registerNode(lab, client, node);
  await applied;
  const networks = networksIn(request.overlay);
  for (const network of networks) await accepted(lab, client, network);
  done(`operators started, ${relative(process.cwd(), request.overlay)} applied: ${networks.join(', ')}`);

  const allocations = await startAgents(lab, client, names, networks, done);
  const containers = await addContainers(request, client);
  done(`containers started: ${containers.map((one) => `${one.node}/${one.name}`).join(', ')}`);
  const pings = await ping(lab, pingsAmong(containers, names));
  done('pinged');

  const stateURL = `http://127.0.0.1:${ports.state}/overlay-master/state`;
  writeFileSync(join(lab.dir, 'parts.json'), JSON.stringify(parts));
  writeEnvironment(lab, stateURL);
  const raised: RaisedLab = {
    lab,
    networks: await kubectl(lab, parts, ['get', 'overlaynetworks']),
    allocations: allocations.sort((a, b) => names.indexOf(a.metadata.name) - names.indexOf(b.metadata.name)),
    containers,
    pings,
    stateURL,
    kubeconfig: kubeconfig(lab),
  };
  await client.close();
  process.stdout.write(`\n${report(raised)}\n\n`);
  assertAnswered(pings);
  return raised;
}

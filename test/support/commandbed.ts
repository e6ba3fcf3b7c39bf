import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { endpoints } from '../../src/agent/endpoints.ts';
import { routeEndpoint } from '../../src/inspect/route.ts';
import { KernelListing } from '../../src/inspect/kernel.ts';
import { Metrics } from '../../src/agent/metrics.ts';
import { snapshotOf } from '../../src/belief/snapshot.ts';
import { readAttachments } from '../../src/containers/attachments.ts';
import { ContainerListing } from '../../src/containers/listing.ts';
import type { Snapshot } from '../../src/dataplane/snapshot.ts';
import { connect, type Client } from '../../src/kube/client.ts';
import {
  agentAllocations,
  configMaps,
  nodes,
  overlayAgents,
  overlayConfigs,
  overlayNetworks,
  pods,
  type Node,
} from '../../src/kube/resources.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { agentAudience } from '../../src/rows/row.ts';
import { serve, type Server } from '../../src/serve/http.ts';
import { Reviews } from '../../src/serve/review.ts';
import { attachment } from './fixture.ts';
import { CommandLine, type Ran } from './commandline.ts';
import { startControlPlane, type OwnControlPlane } from './controlplane.ts';
import { FakeKubelet } from './kubelet.ts';
import { Netns } from './netns.ts';
import { freePort, TempDir } from './kubeprocess.ts';
import { applyNetwork, joinNode, shown } from './leader.ts';
import { OperatorProcess } from './operator.ts';
import { install } from './refuses.ts';
import { eventually } from './eventually.ts';

export const namespace = 'overlaynet-system';

/** Of this machine: agents are not asked at loopback addresses. */
export const ownAddress =
  Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '';

/**
 * What the command meets: a real API server with what deploy/ installs, a real operator behind a kubelet's port-forward, the
 * HTTPS of an agent with its rights and its records, one network and one node.
 */
export class CommandBed {
  readonly plane: OwnControlPlane;
  readonly command: CommandLine;
  readonly temp = new TempDir('ovt-cli-');
  /** Of the agent. */
  readonly stateDir: string;
  readonly leaseDir: string;
  /** Of node1. */
  readonly address = ownAddress;
  /** Where the operator listens: not where its pod says, so that two beds may be there at once. */
  port = 0;
  kubelet = new FakeKubelet(() => this.port);
  operator!: OperatorProcess;
  agent!: Server;
  /** Of node1. */
  netns!: Netns;
  #agentClient!: Client;
  readonly #moreFlags: readonly string[];
  #operatorFlags: string[] = [];
  #snapshot: Snapshot | undefined;

  /** @param flags of the operator, beside those that it needs */
  static async start(...flags: string[]): Promise<CommandBed> {
    const [plane, command] = await Promise.all([startControlPlane(), CommandLine.build()]);
    const bed = new CommandBed(plane, command, flags);
    await bed.#start();
    return bed;
  }

  private constructor(plane: OwnControlPlane, command: CommandLine, flags: readonly string[]) {
    this.#moreFlags = flags;
    this.plane = plane;
    this.command = command;
    this.stateDir = path.join(this.temp.path, 'state');
    this.leaseDir = path.join(this.temp.path, 'leases');
    mkdirSync(path.join(this.stateDir, 'attachments'), { recursive: true });
  }

  /** With the administrator's kubeconfig, unless told. */
  run(args: string, kubeconfig = this.plane.kubeconfig): Promise<Ran> {
    return this.command.run(args.split(' '), { KUBECONFIG: kubeconfig });
  }

  /** As the operator's pod is given it. */
  async agentToken(): Promise<string> {
    const answer = await this.plane.client.raw({
      what: 'token for agents',
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/overlaynet-operator/token`,
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: [agentAudience] },
      },
    });
    return (JSON.parse(answer) as { status: { token: string } }).status.token;
  }

  async stop(): Promise<void> {
    await this.operator.stop();
    await this.agent.close();
    await this.#agentClient.close();
    await this.kubelet.stop();
    await this.plane.stop();
    await this.command.remove();
    await this.temp.remove();
    await this.netns.delete();
  }

  /** Also again, after it was ended. */
  async startOperator(): Promise<void> {
    const kubeconfig = await this.plane.kubeconfigFor({ name: 'overlaynet-operator', namespace });
    this.operator = await OperatorProcess.start(
      kubeconfig,
      'operator-1',
      ...this.#operatorFlags,
      ...this.#moreFlags,
    );
  }

  async #start(): Promise<void> {
    const { client } = this.plane;
    await install(this.plane, 'deploy');
    this.netns = await Netns.create();
    await this.netns.sh('ip link add eth0 type veth peer name eth1');
    await this.netns.sh(`ip addr add ${ownAddress}/16 dev eth0`);
    for (const link of ['eth0', 'eth1']) await this.netns.sh(`ip link set ${link} up`);
    await this.#pod('operator-1', await this.kubelet.start());
    this.agent = await this.#serveAgent();
    const tokenFile = path.join(this.temp.path, 'token');
    writeFileSync(tokenFile, await this.agentToken());
    this.port = await freePort();
    const agentPort = this.agent.address.replace(/.*:/, '');
    this.#operatorFlags = [
      '--listen',
      `:${this.port}`,
      '--agent-port',
      agentPort,
      '--agent-token-file',
      tokenFile,
    ];
    await this.startOperator();
    await applyNetwork(client, 'dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
    await joinNode(client, 'node1', ownAddress);
    await eventually(
      () => shown(client),
      (all) => all.get('node1')?.some((one) => one.startsWith('9.')) === true,
      { seconds: 30 },
    );
    await eventually(
      () => client.get(configMaps(namespace), 'overlaynet-operator'),
      (found) => found !== undefined,
    );
  }

  async #pod(name: string, kubeletPort: number): Promise<void> {
    const { client } = this.plane;
    const node = await client.create<Node>(nodes, { metadata: { name: 'control' } });
    const status = {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
    };
    await client.updateStatus<Node>(nodes, { ...node, status });
    const labels = { 'app.kubernetes.io/name': 'overlaynet-operator' };
    const spec = { nodeName: 'control', hostNetwork: true, containers: [{ name: 'operator', image: 'x' }] };
    const pod = await client.create(pods(namespace), { metadata: { name, labels }, spec });
    await client.updateStatus(pods(namespace), {
      ...pod,
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    });
  }

  /** A pass over the node's kernel by what the API server has. */
  async pass(): Promise<void> {
    const { client } = this.plane;
    // the operator tells in the network's status that it is in force, after it has given blocks
    this.#snapshot = await eventually(
      async () => {
        const [config, networks, allocations] = await Promise.all([
          client.get(overlayConfigs, 'default'),
          client.list(overlayNetworks),
          client.list(agentAllocations),
        ]);
        const cached = { config, networks: networks.items, allocations: allocations.items };
        return snapshotOf('node1', cached);
      },
      (found) => (found?.networks.length ?? 0) > 0,
      { seconds: 30 },
    );
    if (this.#snapshot === undefined) throw new Error('nothing is in force');
    const kernel = new DataPath({
      log: silent,
      run: this.netns.run,
      sysctl: this.netns.readSwitch,
      attachments: () => readAttachments(this.stateDir),
    });
    const { failures } = await kernel.reconcile(this.#snapshot);
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
  }

  /** Tells in the agent's status that all is as allocated. */
  async report(): Promise<void> {
    const { client } = this.plane;
    const agent = await client.get(overlayAgents, 'node1');
    const allocations = await client.list(agentAllocations);
    const own = allocations.items.find(({ metadata }) => metadata.name === 'node1')?.spec;
    if (agent === undefined || own === undefined) throw new Error('node1 has no allocation');
    const said = (own.networks ?? []).map(({ name }) => ({ name, state: 'OK' as const }));
    await client.updateStatus(overlayAgents, {
      ...agent,
      status: { revision: own.revision, networks: said },
    });
  }

  /** A record and a lease, as old as those of containers that run. */
  record(id: string, pod: string, host: string, address: string): void {
    const [first] = attachment().interfaces;
    const interfaces = [{ ...first!, host, addresses: [address] }];
    const text = JSON.stringify(attachment({ containerID: id, pod, interfaces }));
    writeOld(path.join(this.stateDir, 'attachments', `${id}:eth0.json`), text);
    this.lease(address, id);
  }

  lease(address: string, id: string): void {
    mkdirSync(path.join(this.leaseDir, 'dcos'), { recursive: true });
    writeOld(path.join(this.leaseDir, 'dcos', address), `${id}\neth0`);
  }

  /** A container's link on the bridge, as the plugin makes it. */
  async link(name: string, bridge = 'm-dcos'): Promise<void> {
    await this.netns.sh(`ip link add ${name} type veth peer name p${name.slice(-8)}`);
    await this.netns.sh(`ip link set ${name} alias overlaynet master ${bridge} up`);
    await this.netns.sh(`bridge link set dev ${name} hairpin on`);
  }

  /** What an agent serves, as it does it, with the rights of one, of a kernel in a network namespace. */
  async #serveAgent(): Promise<Server> {
    const kubeconfig = await this.plane.kubeconfigFor({ name: 'overlaynet-agent', namespace });
    this.#agentClient = connect({ kubeconfig });
    const listing = new ContainerListing({
      node: 'node1',
      version: '0.1.0',
      stateDir: this.stateDir,
      run: this.netns.run,
    });
    const kernel = new KernelListing({
      node: 'node1',
      version: '0.1.0',
      stateDir: this.stateDir,
      leaseDir: this.leaseDir,
      snapshot: () => this.#snapshot,
      run: this.netns.run,
      sysctl: this.netns.readSwitch,
      links: this.netns.links,
    });
    const route = routeEndpoint({
      node: 'node1',
      version: '0.1.0',
      snapshot: () => this.#snapshot,
      run: this.netns.run,
    });
    return serve({
      listen: '0.0.0.0:0',
      routes: endpoints({ ready: true, state: undefined }, new Metrics('0.1.0'), listing, kernel, route),
      log: silent,
      secure: {
        certificate: { commonName: 'agent', names: [] },
        reviewer: new Reviews(this.#agentClient, { audience: agentAudience }),
      },
    });
  }
}

function writeOld(file: string, text: string): void {
  writeFileSync(file, text);
  const old = new Date(Date.now() - 120_000);
  utimesSync(file, old, old);
}

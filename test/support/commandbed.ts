import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { snapshotOf } from '../../src/belief/snapshot.ts';
import { readAttachments } from '../../src/containers/attachments.ts';
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
import { bundle, bundled } from '../../hack/build.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import { silent } from '../../src/log.ts';
import { agentAudience } from '../../src/rows/row.ts';
import { fingerprint } from '../../src/serve/certificate.ts';
import { attachment } from './fixture.ts';
import type { Server } from '../../src/serve/http.ts';
import { serveAgent } from './commandagent.ts';
import { CommandLine, type Ran } from './commandline.ts';
import { startControlPlane, type OwnControlPlane } from './controlplane.ts';
import { FakeKubelet } from './kubelet.ts';
import { Netns } from './netns.ts';
import { freePort, TempDir } from './kubeprocess.ts';
import { applyNetwork, joinNode, shown } from './leader.ts';
import { OperatorProcess } from './operator.ts';
import { install } from './refuses.ts';
import { patching, type Edit } from './simulation/patching.ts';
import { eventually } from './eventually.ts';

export const namespace = 'overlaynet-system';

/** An address of this machine: operators do not ask agents at loopback addresses. */
export const ownAddress =
  Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '';

interface Made {
  /** Further flags of the operator. */
  flags?: readonly string[];
  /** How long the agent keeps its answer about the kernel; undefined: as long as agents do. */
  keptMs?: number | undefined;
  /** Changes of the command's and the operator's source; absent: they are as they are shipped. */
  edits?: { command: readonly Edit[]; operator: readonly Edit[] };
}

/** A bed whose times are a tenth as long: how long answers about kernels are kept, and the pause of `check`. */
export const quick: Made = {
  keptMs: 200,
  edits: {
    command: [{ file: 'src/cli/check.ts', find: 'const againMs = 4_000;', replace: 'const againMs = 400;' }],
    operator: [{ file: 'src/operator/peers.ts', find: 'kept: 3_000,', replace: 'kept: 300,' }],
  },
};

/**
 * The command's environment: a real API server with the objects of deploy/, a real operator behind a kubelet's
 * port-forward, an agent's HTTPS server with its rights and its records, one network and one node.
 */
export class CommandBed {
  readonly plane: OwnControlPlane;
  readonly command: CommandLine;
  readonly temp = new TempDir('ovt-cli-');
  /** The agent's state directory. */
  readonly stateDir: string;
  readonly leaseDir: string;
  /** node1's address. */
  readonly address = ownAddress;
  /**
   * The port on which the operator listens. It differs from the pod's port, so that two beds may run at the same time.
   */
  port = 0;
  kubelet = new FakeKubelet(() => this.port);
  operator!: OperatorProcess;
  agent!: Server;
  /** node1's network namespace. */
  netns!: Netns;
  #agentClient!: Client;
  readonly #moreFlags: readonly string[];
  #operatorFlags: string[] = [];
  #operatorFile: string;
  readonly #keptMs: number | undefined;
  #snapshot: Snapshot | undefined;

  static async start({ flags = [], keptMs, edits }: Made = {}): Promise<CommandBed> {
    const [plane, command] = await Promise.all([startControlPlane(), CommandLine.build(edits?.command)]);
    const bed = new CommandBed(plane, command, { flags, keptMs });
    if (edits === undefined) bed.#operatorFile = await bundled('operator');
    else await bundle('operator', bed.#operatorFile, [patching(edits.operator)]);
    await bed.#start();
    return bed;
  }

  private constructor(plane: OwnControlPlane, command: CommandLine, { flags = [], keptMs }: Made) {
    this.#moreFlags = flags;
    this.#keptMs = keptMs;
    this.#operatorFile = path.join(this.temp.path, 'operator.js');
    this.plane = plane;
    this.command = command;
    this.stateDir = path.join(this.temp.path, 'state');
    this.leaseDir = path.join(this.temp.path, 'leases');
    mkdirSync(path.join(this.stateDir, 'attachments'), { recursive: true });
  }

  /** Runs the command, with the administrator's kubeconfig by default. */
  run(args: string, kubeconfig = this.plane.kubeconfig, input = ''): Promise<Ran> {
    return this.command.run(args.split(' '), { KUBECONFIG: kubeconfig }, input);
  }

  /** Returns the token that kubelet would give the operator's pod. */
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

  /** Starts the operator, also again after it was stopped. */
  async startOperator(): Promise<void> {
    const kubeconfig = await this.plane.kubeconfigFor({ name: 'overlaynet-operator', namespace });
    this.operator = await OperatorProcess.run(
      this.#operatorFile,
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
    const kubeconfig = await this.plane.kubeconfigFor({ name: 'overlaynet-agent', namespace });
    this.#agentClient = connect({ kubeconfig });
    const { stateDir, leaseDir, netns } = this;
    const snapshot = () => this.#snapshot;
    const served = { client: this.#agentClient, stateDir, leaseDir, netns, snapshot };
    this.agent = await serveAgent({ ...served, keptMs: this.#keptMs });
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

  /** Runs a pass over the node's kernel with the objects of the API server. */
  async pass(): Promise<void> {
    const { client } = this.plane;
    // the operator gives blocks first, and then writes into the network's status that it is in force
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

  /** Writes into the agent's status that everything is as allocated. */
  async report(): Promise<void> {
    const { client } = this.plane;
    const agent = await client.get(overlayAgents, 'node1');
    const allocations = await client.list(agentAllocations);
    const own = allocations.items.find(({ metadata }) => metadata.name === 'node1')?.spec;
    if (agent === undefined || own === undefined) throw new Error('node1 has no allocation');
    const states = (own.networks ?? []).map(({ name }) => ({ name, state: 'OK' as const }));
    await client.updateStatus(overlayAgents, {
      ...agent,
      status: {
        revision: own.revision,
        certificate: fingerprint(this.agent.certificate())!,
        networks: states,
      },
    });
  }

  /** Writes a record and a lease that are as old as those of running containers. */
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

  /** Makes a container's link on the bridge, as the plugin does. */
  async link(name: string, bridge = 'm-dcos'): Promise<void> {
    await this.netns.sh(`ip link add ${name} type veth peer name p${name.slice(-8)}`);
    await this.netns.sh(`ip link set ${name} alias overlaynet master ${bridge} up`);
    await this.netns.sh(`bridge link set dev ${name} hairpin on`);
  }
}

function writeOld(file: string, text: string): void {
  writeFileSync(file, text);
  const old = new Date(Date.now() - 120_000);
  utimesSync(file, old, old);
}

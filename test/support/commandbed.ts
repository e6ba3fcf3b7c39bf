import { jest } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { endpoints } from '../../src/agent/endpoints.ts';
import { Metrics } from '../../src/agent/metrics.ts';
import { ContainerListing } from '../../src/containers/listing.ts';
import { connect, type Client } from '../../src/kube/client.ts';
import { configMaps, nodes, pods, type Node } from '../../src/kube/resources.ts';
import { silent } from '../../src/log.ts';
import { agentAudience } from '../../src/rows/row.ts';
import { serve, type Server } from '../../src/serve/http.ts';
import { Reviews } from '../../src/serve/review.ts';
import { CommandLine, type Ran } from './commandline.ts';
import { startControlPlane, type OwnControlPlane } from './controlplane.ts';
import { FakeKubelet } from './kubelet.ts';
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
  /** Where the operator listens: not where its pod says, so that two beds may be there at once. */
  port = 0;
  kubelet = new FakeKubelet(() => this.port);
  operator!: OperatorProcess;
  agent!: Server;
  #agentClient!: Client;
  readonly #moreFlags: readonly string[];
  #operatorFlags: string[] = [];

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

  /** What an agent serves, as it does it, with the rights of one; the kernel shows one link. */
  async #serveAgent(): Promise<Server> {
    const kubeconfig = await this.plane.kubeconfigFor({ name: 'overlaynet-agent', namespace });
    this.#agentClient = connect({ kubeconfig });
    const links = JSON.stringify([{ ifname: 'c-0123456789ab', master: 'm-dcos' }]);
    const listing = new ContainerListing({
      node: 'node1',
      version: '0.1.0',
      stateDir: this.stateDir,
      run: () => Promise.resolve({ stdout: links, stderr: '', code: 0 }),
    });
    return serve({
      listen: '0.0.0.0:0',
      routes: endpoints({ ready: true, state: undefined }, new Metrics('0.1.0'), listing),
      log: silent,
      secure: {
        certificate: { commonName: 'agent', names: [] },
        reviewer: new Reviews(this.#agentClient, { audience: agentAudience }),
      },
    });
  }
}

/** Starts a bed before the tests of a file and stops it after them; they may take longer than other tests. */
export function usesCommandBed(): {
  bed: () => CommandBed;
  client: () => Client;
  /** Runs the command, with the administrator's kubeconfig unless told. */
  run: CommandBed['run'];
} {
  jest.setTimeout(90_000);
  let started: CommandBed | undefined;
  beforeAll(async () => {
    started = await CommandBed.start();
  }, 120_000);
  afterAll(() => started?.stop());
  const bed = () => {
    if (started === undefined) throw new Error('the command bed is not started');
    return started;
  };
  return {
    bed,
    client: () => bed().plane.client,
    run: (args, kubeconfig) => bed().run(args, kubeconfig),
  };
}

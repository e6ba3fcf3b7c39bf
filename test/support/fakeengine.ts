import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bridgeOption, type DockerNetwork, type NetworkShape } from '../../src/docker/networks.ts';

interface Reply {
  status: number;
  body: unknown;
}

const refusal = (status: number, message: string): Reply => ({ status, body: { message } });

/**
 * A fake of the parts of a Docker engine that networks need, of any API version. test/support/engine-contract.ts checks
 * it against a real engine.
 */
export class FakeEngine {
  readonly networks: DockerNetwork[] = [];
  /** Each container's network, by the container's name, and whether it runs. */
  readonly containers = new Map<string, { network: string; running: boolean; address?: string }>();
  version = { Version: '20.10.24', ApiVersion: '1.41', MinAPIVersion: '1.12' };
  info: Record<string, unknown> = {
    SecurityOptions: ['name=seccomp,profile=default'],
    DefaultAddressPools: [{ Base: '10.64.0.0/16', Size: 24 }],
  };
  /** Ids of networks whose bridges were removed. */
  readonly bridgeless = new Set<string>();
  /** Names of networks that it refuses to make. */
  readonly refused = new Set<string>();
  /** Called before a network is made. */
  making: (network: string) => void = () => undefined;
  /** All requests: `POST /v1.41/networks/create` … */
  readonly requests: string[] = [];
  readonly socket: string;
  readonly #dir = mkdtempSync(join(tmpdir(), 'ovt-engine-'));
  readonly #streams = new Set<ServerResponse>();
  #server: Server | undefined;
  #ids = 0;

  constructor() {
    this.socket = join(this.#dir, 'docker.sock');
  }

  async up(): Promise<void> {
    rmSync(this.socket, { force: true });
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.listen(this.socket);
    await once(this.#server, 'listening');
  }

  async down(): Promise<void> {
    this.#server?.closeAllConnections();
    this.#server?.close();
    if (this.#server !== undefined) await once(this.#server, 'close');
    this.#server = undefined;
  }

  /** Ends the engine like a kill: its socket file stays, but no process listens. */
  async kill(): Promise<void> {
    await this.down();
    const script = 'require("net").createServer().listen(process.argv[1], () => console.log("up"))';
    const killed = spawn(process.execPath, ['-e', script, this.socket]);
    await once(killed.stdout, 'data');
    killed.kill('SIGKILL');
    await once(killed, 'exit');
  }

  async drop(): Promise<void> {
    if (this.#server !== undefined) await this.down();
    rmSync(this.#dir, { recursive: true });
  }

  /** Returns the links of its node. It makes no links, but those of its networks are included. */
  readonly links = (): Set<string> => {
    const bridges = this.networks.map(({ Id, Options }) =>
      this.bridgeless.has(Id) ? undefined : Options?.[bridgeOption],
    );
    return new Set(bridges.filter((name) => name !== undefined));
  };

  /** Adds a network that another user made. */
  add(shape: Partial<NetworkShape> & { Name: string }): DockerNetwork {
    const plain = { Driver: 'bridge', EnableIPv6: false, IPAM: { Config: [] }, Options: {}, Labels: {} };
    const network = { ...plain, ...shape, Id: String(++this.#ids).padStart(64, '0') };
    this.networks.push(network);
    this.event();
    return network;
  }

  event(): void {
    for (const stream of this.#streams) stream.write('{"Type":"network"}\n');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    let text = '';
    for await (const chunk of request) text += String(chunk);
    this.requests.push(`${method} ${url.replace(/\?.*/, '')}`);
    const path = url.replace(/^\/v1\.\d+/, '');
    if (path.startsWith('/events')) {
      response.writeHead(200).flushHeaders();
      this.#streams.add(response);
      response.on('close', () => this.#streams.delete(response));
      return;
    }
    const { status, body } = this.#reply(method, path, text);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  }

  #reply(method: string, path: string, text: string): Reply {
    if (path === '/version') return { status: 200, body: this.version };
    if (path === '/info') return { status: 200, body: this.info };
    if (path === '/networks') return { status: 200, body: this.networks };
    if (path.startsWith('/containers/json')) return { status: 200, body: this.#users(path) };
    if (method === 'POST') return this.#create(JSON.parse(text) as NetworkShape);
    const at = this.networks.findIndex(({ Id }) => path === `/networks/${Id}`);
    const found = this.networks[at];
    if (found === undefined) return refusal(404, `network ${path.replace(/.*\//, '')} not found`);
    const running = [...this.containers.values()].some(
      (container) => container.running && container.network === found.Name,
    );
    if (running) {
      const what = `network ${found.Name} id ${found.Id} has active endpoints`;
      return refusal(403, `error while removing network: ${what}`);
    }
    this.networks.splice(at, 1);
    this.event();
    return { status: 204, body: undefined };
  }

  #create(shape: NetworkShape & { CheckDuplicate?: boolean }): Reply {
    const { CheckDuplicate, ...rest } = shape;
    if (this.networks.some(({ Name }) => Name === shape.Name) && CheckDuplicate === true) {
      return refusal(409, `network with name ${shape.Name} already exists`);
    }
    this.making(shape.Name);
    if (this.refused.has(shape.Name))
      return refusal(403, 'Pool overlaps with other one on this address space');
    return { status: 201, body: { Id: this.add(rest).Id, Warning: '' } };
  }

  /** Returns the containers of a network; `all` includes stopped ones. The filter is a network's id. */
  #users(path: string): unknown {
    const query = new URLSearchParams(path.replace(/^[^?]*\??/, ''));
    const [id] = (JSON.parse(query.get('filters') ?? '{}') as { network?: string[] }).network ?? [];
    const name = this.networks.find(({ Id }) => Id === id)?.Name;
    return [...this.containers]
      .filter(([, { network }]) => id === undefined || network === name)
      .filter(([, { running }]) => running || query.get('all') === 'true')
      .map(([container, { network, running, address = '' }]) => ({
        Id: container,
        Names: [`/${container}`],
        State: running ? 'running' : 'exited',
        Created: Date.UTC(2026, 0, 1) / 1_000,
        NetworkSettings: {
          Networks: {
            [network]: { IPAddress: address, GlobalIPv6Address: '', MacAddress: '02:42:09:00:00:82' },
          },
        },
      }));
  }
}

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { hub, type Lab } from './lab.ts';
import { marks } from './processes.ts';

/**
 * The only connection between a lab and the machine. The sockets listen on the machine's loopback address. The process
 * that accepts on them runs in the hub and got the sockets from its parent. It connects only to the API server and the
 * operators.
 */

/** Destinations of the connections, by name: the first address that accepts is used. */
const targets: Record<string, [host: string, port: number][]> = {
  api: [['172.17.0.1', 6443]],
  state: Array.from({ length: 8 }, (_, index) => ['127.0.0.1', 9181 + index]),
};

function pipe(from: Socket, addresses: [host: string, port: number][]): void {
  const [first, ...rest] = addresses;
  if (!first) {
    from.destroy();
    return;
  }
  const to = connect(first[1], first[0]);
  let open = false;
  to.on('connect', () => {
    open = true;
    from.pipe(to).pipe(from);
  });
  to.on('error', () => {
    if (open) from.destroy();
    else pipe(from, rest);
  });
  to.on('close', () => {
    if (open) from.destroy();
  });
  from.on('error', () => to.destroy());
  from.on('close', () => to.destroy());
}

/** The process in the hub: takes the listening sockets from its parent. */
function serve(): void {
  process.on('message', (name: string, server: Server) => {
    server.on('connection', (socket) => {
      pipe(socket, targets[name] ?? []);
    });
    process.send?.(name);
  });
}

async function listen(): Promise<[Server, number]> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port on 127.0.0.1');
  return [server, address.port];
}

/** Starts the forwarder. Returns the ports on 127.0.0.1 of the API server and of the operators' state document. */
export async function startForwarder(lab: Lab): Promise<{ api: number; state: number }> {
  const child = fork(import.meta.filename, [], {
    cwd: lab.dir,
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    execPath: 'nsenter',
    execArgv: [`--net=/run/netns/${hub(lab)}`, process.execPath],
    env: { ...process.env, ...marks(lab, 'forwarder') },
  });
  const ports = { api: 0, state: 0 };
  for (const name of ['api', 'state'] as const) {
    const [server, port] = await listen();
    child.send(name, server);
    await once(child, 'message');
    server.close(); // closes this process's handle: only the forwarder accepts
    ports[name] = port;
  }
  child.disconnect();
  child.unref();
  return ports;
}

if (process.argv[1] === import.meta.filename) serve();

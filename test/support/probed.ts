import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/**
 * A program for a network namespace. It answers TCP and UDP on the ports of its arguments with the caller's address. It
 * reads probes from its standard input, one JSON a line, and ends when the input ends.
 */
export interface Probe {
  id: number;
  kind: 'tcp' | 'udp' | 'hold' | 'say';
  to: string;
  port: number;
  /** Time to wait for the answer, in ms. */
  ms: number;
}

export interface Answer {
  id: number;
  /** The answer; undefined if none came. */
  text?: string;
}

const plain = (address = ''): string => address.replace(/^::ffff:/, '');

const held = new Map<string, Socket>();

function answers(socket: Socket, ms: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, undefined);
    const end = (data?: Buffer) => {
      clearTimeout(timer);
      resolve(data === undefined ? undefined : String(data));
    };
    socket.once('data', end);
    socket.once('error', () => {
      end();
    });
    socket.once('close', () => {
      end();
    });
  });
}

async function ask({ kind, to, port, ms }: Probe): Promise<string | undefined> {
  const key = `${to} ${port}`;
  if (kind === 'udp') return askUDP(to, port, ms);
  if (kind === 'say') {
    const socket = held.get(key);
    if (socket === undefined) return undefined;
    socket.write('again');
    return answers(socket, ms);
  }
  const socket = connect(port, to);
  const text = await answers(socket, ms);
  socket.on('error', () => undefined);
  if (kind === 'hold') held.set(key, socket);
  else socket.destroy();
  return text;
}

function askUDP(to: string, port: number, ms: number): Promise<string | undefined> {
  const socket = createSocket(to.includes(':') ? 'udp6' : 'udp4');
  return new Promise<string | undefined>((resolve) => {
    const timer = setTimeout(resolve, ms, undefined);
    socket.on('error', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
    socket.on('message', (data) => {
      clearTimeout(timer);
      resolve(String(data));
    });
    socket.send('probe', port, to);
  }).finally(() => socket.close());
}

async function main(): Promise<void> {
  for (const port of process.argv.slice(2).map(Number)) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      const caller = plain(socket.remoteAddress);
      socket.write(caller);
      socket.on('data', () => socket.write(caller));
    });
    const datagrams = createSocket({ type: 'udp6' });
    datagrams.on('message', (_, { address, port: from }) => {
      datagrams.send(plain(address), from, address);
    });
    await Promise.all([
      new Promise<void>((resolve) => server.listen(port, '::', resolve)),
      new Promise<void>((resolve) => datagrams.bind(port, '::', resolve)),
    ]);
  }
  const input = createInterface({ input: process.stdin });
  input.on('line', (line) => {
    const probe = JSON.parse(line) as Probe;
    void ask(probe).then((text) => {
      const answer: Answer = { id: probe.id, ...(text === undefined ? {} : { text }) };
      process.stdout.write(`${JSON.stringify(answer)}\n`);
    });
  });
  input.on('close', () => process.exit());
  process.stdout.write('ready\n');
}

await main();

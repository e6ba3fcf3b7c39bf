import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { selfSigned } from '../../src/serve/x509.ts';

/**
 * A fake of the parts of a kubelet that logs and port-forward need. Port-forward is WebSockets with v4.channel.k8s.io. A pod's
 * ports are ports of this machine on 127.0.0.1. If no process listens on one, it reports that on the error channel, as kubelets do.
 */
export class FakeKubelet {
  readonly asked: string[] = [];
  /** What containers have logged, by `POD/CONTAINER`; `never`: it takes the question and gives no answer. */
  readonly logs = new Map<string, string | { never: true }>();
  readonly #sockets = new Set<Duplex>();
  readonly #server: Server;

  /** @param real maps a pod's port to the port on this machine */
  constructor(real: (port: number) => number = (port) => port) {
    const from = new Date(Date.now() - 1_000);
    const until = new Date(Date.now() + 3_600_000);
    this.#server = createServer(selfSigned({ commonName: 'kubelet', names: [], from, until }));
    this.#server.on('request', ({ url = '' }, response) => {
      const [, pod = '', container = ''] = /^\/containerLogs\/[^/]+\/([^/]+)\/([^/?]+)/.exec(url) ?? [];
      const text = this.logs.get(`${pod}/${container}`);
      if (typeof text === 'object') return;
      response.writeHead(text === undefined ? 404 : 200).end(text);
    });
    this.#server.on('upgrade', ({ url = '', headers }, socket: Duplex) => {
      this.asked.push(url);
      const key = headers['sec-websocket-key'] ?? '';
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n`,
      );
      const port = Number(new URL(url, 'https://kubelet').searchParams.get('port'));
      this.#forward(socket, port, real(port));
    });
    this.#server.on('connection', (socket) => this.#sockets.add(socket));
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #forward(socket: Duplex, port: number, real: number): void {
    const send = (channel: number, content: Buffer) =>
      socket.write(frame(Buffer.concat([Buffer.of(channel), content])));
    for (const channel of [0, 1]) send(channel, Buffer.of(port & 255, port >> 8));
    const target = connect(real, '127.0.0.1');
    this.#sockets.add(target);
    target.on('error', (error) => send(1, Buffer.from(`error forwarding port ${port}: ${error.message}`)));
    target.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += 60_000) send(0, chunk.subarray(at, at + 60_000));
    });
    target.on('end', () => socket.end());
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (let found = unframe(rest); found !== undefined; found = unframe(rest)) {
        rest = rest.subarray(found.size);
        if (found.opcode === 2) target.write(found.body.subarray(1));
      }
    });
    socket.on('error', () => target.destroy()).on('close', () => target.destroy());
  }
}

/** A server's frame. A long one is sent in two fragments, which clients must accept. */
function frame(body: Buffer): Buffer {
  const one = (first: number, part: Buffer) => {
    const length =
      part.length < 126 ? Buffer.of(part.length) : Buffer.of(126, part.length >> 8, part.length & 255);
    return Buffer.concat([Buffer.of(first), length, part]);
  };
  if (body.length < 4) return one(0x82, body);
  const head = body.subarray(0, 2);
  const tail = body.subarray(2);
  return Buffer.concat([one(0x02, head), one(0x80, tail)]);
}

function unframe(bytes: Buffer): { opcode: number; body: Buffer; size: number } | undefined {
  if (bytes.length < 6) return undefined;
  const short = (bytes[1] ?? 0) & 127;
  const head = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (bytes.length < head + 4) return undefined;
  const length =
    short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
  const size = head + 4 + length;
  if (bytes.length < size) return undefined;
  const mask = bytes.subarray(head, head + 4);
  const body = Buffer.from(bytes.subarray(head + 4, size)).map((byte, at) => byte ^ (mask[at & 3] ?? 0));
  return { opcode: (bytes[0] ?? 0) & 15, body: Buffer.from(body), size };
}

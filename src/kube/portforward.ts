import { randomBytes } from 'node:crypto';
import { request as plainRequest, type IncomingMessage } from 'node:http';
import { request as secureRequest } from 'node:https';
import { Duplex } from 'node:stream';
import { apiError } from './error.ts';
import type { Access } from './transport.ts';
import { messageOf } from '../error.ts';

/**
 * A port of a pod, as kubelets have served it over WebSockets since Kubernetes 1.6 (subprotocol v4.channel.k8s.io): each message
 * begins with the number of a channel, 0 for data and 1 for errors, and the first one on each holds the port in two bytes.
 */
const subprotocol = 'v4.channel.k8s.io';
const channels = { data: 0, error: 1 };

/** @throws ApiError if the API server refuses, Error where it does not answer */
export async function forwardPort(
  { origin, tls, headers, timeoutMs }: Access,
  { namespace, pod, port }: { namespace: string; pod: string; port: number },
  signal: AbortSignal,
): Promise<Duplex> {
  const what = `create pods/portforward of ${namespace}/${pod}`;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/portforward?ports=${port}`;
  const request = origin.protocol === 'http:' ? plainRequest : secureRequest;
  return new Promise((resolve, reject) => {
    const call = request(
      new URL(origin.pathname.replace(/\/$/, '') + path, origin),
      {
        ...tls,
        agent: false,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        headers: {
          ...headers,
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': randomBytes(16).toString('base64'),
          'sec-websocket-protocol': subprotocol,
        },
      },
      (response) => {
        refusal(what, response).then(reject, reject);
      },
    );
    call.on('upgrade', (_, socket, head) => {
      resolve(new Forward(socket, head));
    });
    call.on('error', (cause) => {
      reject(new Error(`${what}: ${messageOf(cause)}`, { cause }));
    });
    call.end();
  });
}

async function refusal(what: string, response: IncomingMessage): Promise<Error> {
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) if (body.length < 10_000) body += chunk as string;
  return apiError(what, response.statusCode ?? 0, undefined, body);
}

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };
const largestMessage = 16 * 1024 * 1024;

/** The data stream of channel 0. */
class Forward extends Duplex {
  readonly #socket: Duplex;
  #rest: Buffer;
  /** Fragments of a message that is not complete yet. */
  #parts: Buffer[] = [];
  readonly #begun = new Set<number>();

  constructor(socket: Duplex, head: Buffer) {
    super();
    this.#socket = socket;
    this.#rest = head;
    socket.on('data', (chunk: Buffer) => {
      this.#take(chunk);
    });
    socket.on('end', () => this.push(null));
    socket.on('close', () => {
      this.destroy();
    });
    socket.on('error', (error: Error) => {
      this.destroy(error);
    });
    if (head.length > 0) this.#take(Buffer.alloc(0));
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(frame(opcodes.binary, Buffer.concat([Buffer.of(channels.data), chunk])), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.write(frame(opcodes.close, Buffer.alloc(0)), () => {
      done();
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const found = unframe(this.#rest);
      if (found === undefined) return;
      if (found.size > largestMessage) {
        this.destroy(new Error('the API server sent a message that is too long'));
        return;
      }
      if (this.#rest.length < found.size) return;
      this.#rest = this.#rest.subarray(found.size);
      this.#message(found);
    }
  }

  #message({ opcode, final, body }: Frame): void {
    if (opcode === opcodes.close) {
      this.push(null);
      return;
    }
    if (opcode === opcodes.ping) this.#socket.write(frame(opcodes.pong, body));
    if (opcode > opcodes.binary) return;
    this.#parts.push(body);
    if (!final) return;
    const message = Buffer.concat(this.#parts);
    this.#parts = [];
    const channel = message[0] ?? 0;
    const content = message.subarray(this.#begun.has(channel) ? 1 : 3);
    this.#begun.add(channel);
    if (content.length === 0) return;
    if (channel === channels.error) this.destroy(new Error(content.toString('utf8').trim()));
    else if (!this.push(content)) this.#socket.pause();
  }
}

interface Frame {
  opcode: number;
  final: boolean;
  body: Buffer;
  /** Length of the payload in bytes, including bytes that have not arrived. */
  size: number;
}

/** RFC 6455, section 5.2: a client's frames are masked. */
function frame(opcode: number, body: Buffer): Buffer {
  const mask = randomBytes(4);
  const length =
    body.length < 126
      ? Buffer.of(0x80 | body.length)
      : body.length < 65_536
        ? Buffer.of(0x80 | 126, body.length >> 8, body.length & 255)
        : Buffer.concat([Buffer.of(0x80 | 127), long(body.length)]);
  const masked = Buffer.from(body);
  for (let at = 0; at < masked.length; at++) masked[at] = (masked[at] ?? 0) ^ (mask[at & 3] ?? 0);
  return Buffer.concat([Buffer.of(0x80 | opcode), length, mask, masked]);
}

function long(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** The first frame; undefined until its length has arrived. A server's frames are not masked. */
function unframe(bytes: Buffer): Frame | undefined {
  const [first = 0, second = 0] = bytes;
  const short = second & 0x7f;
  const head = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (bytes.length < head) return undefined;
  const length =
    short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
  return {
    opcode: first & 15,
    final: first >= 0x80,
    body: bytes.subarray(head, head + length),
    size: head + length,
  };
}

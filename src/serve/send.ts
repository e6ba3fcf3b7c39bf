import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip, type InputType } from 'node:zlib';

export interface Reply {
  status: number;
  contentType: string;
  body: string | Buffer;
  /** The body compressed, where it always stays the same; other large texts are compressed as they are sent. */
  gzipped?: Buffer;
  headers?: Record<string, string>;
}

/** An answer without an end. Status 200. */
export interface Stream {
  contentType: string;
  /** Begins to send. The function that it returns ends this; it is called once the client has gone. */
  begin: (client: StreamClient) => () => void;
}

interface StreamClient {
  /** Returns false once so much waits that the client does not seem to read. */
  send: (text: string) => boolean;
  end: () => void;
}

const compressed = promisify<InputType, { level: number }, Buffer>(gzip);
/** Less is not worth the work. */
const leastCompressed = 4_096;
/** Characters that wait for a client. */
const mostWaiting = 65_536;

/** No answer is kept or taken for another type, unless it says otherwise itself. */
const always = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

export async function send(
  request: IncomingMessage,
  response: ServerResponse,
  reply: Reply | Stream,
): Promise<void> {
  if ('begin' in reply) {
    stream(request, response, reply);
    return;
  }
  const { status, contentType, body, gzipped, headers } = reply;
  const packed =
    Buffer.byteLength(body) >= leastCompressed && takesGzip(request)
      ? (gzipped ?? (await compressed(body, { level: 1 })))
      : undefined;
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': (packed ?? Buffer.from(body)).length,
    ...(packed === undefined ? {} : { 'content-encoding': 'gzip' }),
    vary: 'accept-encoding',
    ...always,
    ...headers,
    // close the connection instead of waiting for a body that is not read
    ...(request.method === 'GET' || request.method === 'HEAD' ? {} : { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : (packed ?? body));
}

const takesGzip = ({ headers }: IncomingMessage): boolean =>
  (headers['accept-encoding'] ?? '')
    .split(',')
    .some((one) => /^\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*$)|$)/i.test(one));

function stream(request: IncomingMessage, response: ServerResponse, { contentType, begin }: Stream): void {
  response.writeHead(200, { 'content-type': contentType, ...always });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  response.flushHeaders();
  const stop = begin({
    send: (text) => {
      response.write(text);
      return response.writableLength < mostWaiting;
    },
    end: () => {
      response.end();
    },
  });
  response.once('close', stop);
}

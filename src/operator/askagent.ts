import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import { plainHex } from '../serve/certificate.ts';

const largestAnswer = 2 * 1024 * 1024;

/** A request to the agent of a node. */
interface AgentRequest {
  node: string;
  address: string;
  port: number;
  /** SHA-256 of the certificate that the agent's OverlayAgent names; undefined: it names none. */
  certificate?: string | undefined;
  path: string;
  /** File with a token for the audience of agents; undefined: no token is sent. */
  tokenFile: string | undefined;
  /** JSON body of a POST; undefined: a GET. */
  post: string | undefined;
}

/**
 * Asks an agent over HTTPS. The token is sent only after the server has shown the certificate that the node's OverlayAgent
 * names. Agents older than that field name none; then any certificate counts, because agents sign their own.
 * @returns the body of a 200
 * @throws Error with the reason
 */
export async function askAgent(asked: AgentRequest, signal: AbortSignal): Promise<string> {
  const { tokenFile } = asked;
  const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim();
  const socket = await connected(asked, signal);
  try {
    const response = await answer(asked, token, socket, signal);
    const body = await bounded(response, signal);
    if (response.statusCode === 200) return body;
    throw new Error(`${response.statusCode ?? 0}: ${body.trim().slice(0, 200)}`);
  } finally {
    socket.destroy();
  }
}

/** Connects, and compares the certificate. */
async function connected(
  { node, address, port, certificate }: AgentRequest,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const socket = connect({ host: address, port, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect', { signal });
    const shown = plainHex(socket.getPeerX509Certificate()?.fingerprint256 ?? '');
    if (certificate !== undefined && shown !== certificate)
      throw new Error(
        `its certificate (SHA-256 ${shown}) is not the one in status.certificate of OverlayAgent ${node} (${certificate}); ` +
          'it was not asked, because another program may be listening in its place',
      );
    return socket;
  } catch (error) {
    // without a listener, a later error of the socket would end this process
    socket.on('error', () => undefined).destroy();
    throw signal.aborted ? (signal.reason as Error) : error;
  }
}

const answer = (
  { address, port, path, post }: AgentRequest,
  token: string | undefined,
  socket: TLSSocket,
  signal: AbortSignal,
): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const call = request(
      {
        host: address,
        port,
        path,
        method: post === undefined ? 'GET' : 'POST',
        signal,
        createConnection: () => socket,
        headers: {
          accept: 'application/json',
          ...(post === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
      },
      resolve,
    );
    call.on('error', (error) => {
      reject(signal.aborted ? (signal.reason as Error) : error);
    });
    // an answer that changes the protocol gives neither a response nor an error
    call.on('close', () => {
      reject(signal.aborted ? (signal.reason as Error) : new Error('it closed the connection'));
    });
    call.end(post);
  });

/** The body as text. @throws Error if it is too long, or is cut off */
function bounded(response: IncomingMessage, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= largestAnswer) return;
      response.destroy();
      reject(new Error(`its answer has more than ${largestAnswer} bytes`));
    });
    response.on('end', () => {
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
    for (const event of ['close', 'error']) {
      response.on(event, () => {
        reject(signal.aborted ? (signal.reason as Error) : new Error('its answer was cut off'));
      });
    }
  });
}

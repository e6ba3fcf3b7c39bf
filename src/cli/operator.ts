import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as plainRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect as connectTCP, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTLS, type TLSSocket } from 'node:tls';
import { CommandFailure } from './failure.ts';
import { messageOf } from '../error.ts';

/** A way to reach an operator. */
export interface Way {
  /** For messages: `pod overlaynet-operator-abc`, `http://127.0.0.1:9181`. */
  name: string;
  secure: boolean;
  open: (signal: AbortSignal) => Promise<Duplex>;
}

/** What a server's certificate is compared with. */
export type Trust =
  /** SHA-256 of certificates, hexadecimal in small letters. */
  { fingerprints: ReadonlySet<string> } | { ca: string };

const timeoutMs = 15_000;
/** The largest answer that is read. Pages of rows are far smaller. */
const largestAnswer = 64 * 1024 * 1024;

/** `http://127.0.0.1:9181`, `https://node1:9180`. @throws CommandFailure */
export function wayTo(server: string): Way {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '')
    throw new CommandFailure(
      `--server "${server}" is not of the form https://HOST:PORT`,
      'give the address of an operator, such as https://node1:9180',
    );
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (!secure && host !== '::1' && host !== 'localhost' && !(isIP(host) === 4 && host.startsWith('127.')))
    throw new CommandFailure(
      `--server ${server} is in the clear: anybody on the way could take the token`,
      `use https://${url.host}`,
    );
  const port = Number(url.port === '' ? (secure ? 443 : 80) : url.port);
  return {
    name: url.origin,
    secure,
    open: (signal) =>
      new Promise((resolve, reject) => {
        const socket = connectTCP({ host, port });
        signal.addEventListener('abort', () => socket.destroy(signal.reason as Error), { once: true });
        socket.once('connect', () => {
          resolve(socket);
        });
        socket.once('error', reject);
      }),
  };
}

/** `--ca-file`. @throws CommandFailure */
export function trustFile(file: string): Trust {
  try {
    const ca = readFileSync(file, 'utf8');
    new X509Certificate(ca);
    return { ca };
  } catch (error) {
    throw new CommandFailure(
      `--ca-file ${file} holds no certificate: ${messageOf(error)}`,
      'give a file in PEM',
      error,
    );
  }
}

export const fingerprintOf = (certificate: Buffer): string =>
  createHash('sha256').update(certificate).digest('hex');

/**
 * Sends one request.
 * @throws CommandFailure if there is no answer
 */
export async function ask(
  way: Way,
  path: string,
  options: { trust?: Trust | undefined; token?: string | undefined; post?: string | undefined },
): Promise<{ status: number; body: string }> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const channel = await opened(way, options.trust, signal);
    return await answered(channel, { path, ...options }, signal);
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    const late = signal.aborted;
    const why = late ? `no answer within ${timeoutMs / 1_000} s` : messageOf(error);
    throw new CommandFailure(
      `the operator at ${way.name} cannot be reached: ${why}`,
      'does it run? kubectl get pods -n overlaynet-system -l app.kubernetes.io/name=overlaynet-operator; in a lab: hack/lab ls',
      error,
    );
  }
}

/**
 * A connection for requests.
 * @throws CommandFailure if the certificate is not an operator's
 */
export async function opened(way: Way, trust: Trust | undefined, signal: AbortSignal): Promise<Duplex> {
  const socket = await way.open(signal);
  return way.secure ? secured(socket, way, trust) : socket;
}

/** Sets up TLS. The token is sent only after the certificate is known to be an operator's. */
function secured(socket: Duplex, way: Way, trust: Trust | undefined): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const ca = trust !== undefined && 'ca' in trust ? trust.ca : undefined;
    const channel = connectTLS({
      socket,
      rejectUnauthorized: ca !== undefined,
      ...(ca === undefined ? {} : { ca }),
      // a pod is reached by no name that a certificate could hold
      ...(ca === undefined || way.name.startsWith('pod ')
        ? { checkServerIdentity: () => undefined }
        : { host: new URL(way.name).hostname.replace(/^\[(.*)\]$/, '$1') }),
    });
    channel.once('error', (error: Error) => {
      reject(ca === undefined ? error : untrusted(way, error.message));
    });
    channel.once('secureConnect', () => {
      if (ca === undefined) {
        const { raw } = channel.getPeerCertificate();
        const shown = fingerprintOf(raw);
        if (trust === undefined || !('fingerprints' in trust) || !trust.fingerprints.has(shown)) {
          channel.destroy();
          reject(untrusted(way, `its fingerprint is sha256:${shown}, and no operator has published that`));
          return;
        }
      }
      resolve(channel);
    });
  });
}

const untrusted = (way: Way, why: string): CommandFailure =>
  new CommandFailure(
    `the certificate that ${way.name} shows is not to be trusted: ${why}`,
    'an operator that has just started publishes it in a moment (ConfigMap overlaynet-operator); try again, or give --ca-file',
  );

function answered(
  socket: Duplex,
  { path, token, post }: { path: string; token?: string | undefined; post?: string | undefined },
  signal: AbortSignal,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const options: RequestOptions = {
      path,
      method: post === undefined ? 'GET' : 'POST',
      signal,
      host: 'overlaynet',
      createConnection: () => socket,
      headers: {
        accept: 'application/json',
        connection: 'close',
        ...(post === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    };
    const call = plainRequest(options, (response) => {
      text(response).then((body) => {
        resolve({ status: response.statusCode ?? 0, body });
        socket.destroy();
      }, reject);
    });
    call.on('error', reject);
    call.end(post);
  });
}

async function text(response: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) {
    body += chunk as string;
    if (body.length > largestAnswer) throw new Error('its answer is too long');
  }
  return body;
}

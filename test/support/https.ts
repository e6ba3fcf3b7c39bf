import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { TLSSocket, type PeerCertificate } from 'node:tls';
import { parse } from 'yaml';

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
  /** The certificate that the server presented. */
  certificate: PeerCertificate;
}

/** Sends one request over its own connection. Without `ca`, any certificate is accepted. */
export const askSecurely = (
  address: string,
  path: string,
  options: {
    token?: string;
    authorization?: string;
    method?: string;
    ca?: string;
    body?: string;
    /** Content type of the body; default: application/json. */
    type?: string;
  } = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { token, method = 'GET', ca, body: sent, type = 'application/json' } = options;
    const authorization = options.authorization ?? (token === undefined ? undefined : `Bearer ${token}`);
    const call = request(
      `https://${address}${path}`,
      {
        method,
        agent: false,
        headers: {
          ...(authorization === undefined ? {} : { authorization }),
          ...(sent === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(sent) }),
        },
        ...(ca === undefined ? { rejectUnauthorized: false } : { ca }),
      },
      (response) => {
        const socket: unknown = response.socket;
        if (!(socket instanceof TLSSocket)) throw new Error('not over TLS');
        const certificate = socket.getPeerCertificate();
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body, certificate });
        });
        response.on('error', reject);
      },
    );
    call.on('error', reject);
    call.end(sent);
  });

/** Returns the token of a kubeconfig's only user. */
export const tokenIn = (kubeconfig: string): string =>
  (parse(readFileSync(kubeconfig, 'utf8')) as { users: [{ user: { token: string } }] }).users[0].user.token;

import { messageOf } from '../error.ts';
import {
  Agent,
  request as plainRequest,
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { Duplex } from 'node:stream';
import type { Access } from './access.ts';

/** How often a token is renewed. Tokens are valid for ten minutes. */
const renewMs = 8 * 60_000;
/** The operator's headers that are passed on: the page and its browser need them. */
const passed = [
  'content-type',
  'content-encoding',
  'content-length',
  'cache-control',
  'content-security-policy',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'referrer-policy',
  'retry-after',
  'x-content-type-options',
  'x-frame-options',
];

/** How the operator is reached. */
type Reach = Pick<Access, 'connection' | 'freshToken' | 'forget'>;

type Refusal = [status: number, error: string, headers?: Record<string, string>];

const isPage = ({ url = '' }: IncomingMessage): boolean => url.startsWith('/ui/');

/** Connections to the operator, each used for one request after another. */
class Connections extends Agent {
  readonly #access: Reach;

  constructor(access: Reach) {
    super({ keepAlive: true, maxSockets: 8 });
    this.#access = access;
  }

  override createConnection(
    _options: unknown,
    done?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const opened = this.#access.connection(new AbortController().signal);
    opened.then(
      (stream) => done?.(null, stream),
      (error: unknown) => {
        this.#access.forget();
        // Node's types know no failure without a stream
        done?.(error as Error, undefined as unknown as Duplex);
      },
    );
    return undefined;
  }
}

/**
 * Passes a browser's requests on to an operator. It replaces a secret word that only the page knows with the operator's
 * token.
 */
export class Relay {
  readonly #access: Reach;
  readonly #knows: (word: string) => boolean;
  readonly #connections: Connections;
  #token: { at: number; value: Promise<string | undefined> } | undefined;

  /** @param knows whether the word is the page's */
  constructor(access: Reach, knows: (word: string) => boolean) {
    this.#access = access;
    this.#knows = knows;
    this.#connections = new Connections(access);
  }

  /** Ends the connections to the operator. */
  close(): void {
    this.#connections.destroy();
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refuse = ([status, error, headers]: Refusal) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(`${JSON.stringify({ error })}\n`);
    };
    const refusal = this.#refusalOf(request);
    if (refusal !== undefined) {
      refuse(refusal);
      return;
    }
    try {
      await this.#hand(request, response, isPage(request) ? undefined : await this.#fresh());
    } catch (error) {
      if (response.headersSent) response.destroy();
      else refuse([503, messageOf(error), { 'retry-after': '1' }]);
    }
  }

  #refusalOf(request: IncomingMessage): Refusal | undefined {
    const { url = '/', method = 'GET', headers } = request;
    // prevents DNS rebinding: a foreign name may resolve to this address, and a browser would then send that name
    if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(headers.host ?? ''))
      return [421, 'use the URL that kubectl overlay ui printed'];
    if (method !== 'GET' && method !== 'HEAD') return [405, 'GET and HEAD alone', { allow: 'GET, HEAD' }];
    if (isPage(request)) return undefined;
    if (!url.startsWith('/api/v1/')) return [404, 'there are /ui/ and /api/v1/'];
    const [, word = ''] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? [];
    return this.#knows(word) ? undefined : [401, 'open the URL that kubectl overlay ui printed last'];
  }

  #fresh(): Promise<string | undefined> {
    if (this.#token === undefined || this.#token.at + renewMs < Date.now()) {
      const value = this.#access.freshToken();
      this.#token = { at: Date.now(), value };
      value.catch(() => (this.#token = undefined));
    }
    return this.#token.value;
  }

  #hand(request: IncomingMessage, response: ServerResponse, token: string | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const call: ClientRequest = plainRequest(
        {
          agent: this.#connections,
          host: 'overlaynet',
          path: request.url ?? '/',
          method: request.method ?? 'GET',
          headers: {
            accept: 'application/json',
            'accept-encoding': request.headers['accept-encoding'] ?? 'identity',
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          },
        },
        (answer) => {
          if (answer.statusCode === 401 && token === undefined) {
            // files need no token; the operator asks for one where it has no such path
            answer.destroy();
            response.writeHead(404, { 'content-type': 'application/json' });
            response.end(`${JSON.stringify({ error: 'the page has no such file' })}\n`);
            resolve();
            return;
          }
          if (answer.statusCode === 401) {
            // the page asks again, and gets another one
            this.#token = undefined;
            answer.destroy();
            reject(new Error('the operator does not take the token any more'));
            return;
          }
          const headers = passed.flatMap((name) => {
            const value = answer.headers[name];
            return value === undefined ? [] : [[name, value] as const];
          });
          response.writeHead(answer.statusCode ?? 502, Object.fromEntries(headers));
          response.flushHeaders();
          answer.pipe(response);
          answer.on('end', resolve);
          answer.on('error', reject);
          answer.on('close', resolve);
        },
      );
      call.on('error', reject);
      response.on('close', () => {
        call.destroy();
      });
      call.end();
    });
  }
}

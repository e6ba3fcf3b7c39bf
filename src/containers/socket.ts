import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { CutOff, largestBody, readBody } from '../serve/body.ts';
import { untoldBeside } from '../host/directories.ts';
import { ListenError } from '../serve/http.ts';
import { faultOf, type Log } from '../log.ts';
import { answerMs, parseAsk, refusals, type Ask, type CNIRefusal } from './ask.ts';
import type { Choice } from './choose.ts';
import { parseDone, takeUntold, type Done } from './done.ts';
import { isErrno, messageOf } from '../error.ts';
import { Recurring } from '../recurring.ts';

/** The path at which the plugin asks for a container's networks. */
export const networksPath = '/v1/networks';

/** How long the headers may take. The plugin sends the whole request at once. */
const headersMs = 2_000;

/** The longest path that fits into sockaddr_un (unix(7)) with the final zero. */
const longestPath = 107;

/** How long a probe waits. An agent that does not accept a connection within this time is busy, not gone. */
const probeMs = 1_000;

/** The path at which the plugin asks how full this node's networks are. */
const usagePath = '/v1/usage';

/** The path at which the plugin reports how a command ended. */
const donePath = '/v1/done';
/**
 * Serves the UNIX socket at which the CNI plugin asks for a container's networks (`POST /v1/networks`) and, if no address is
 * left, how full they are (`POST /v1/usage`). The plugin also reports the end of each command (`POST /v1/done`).
 */
export class AgentSocket {
  readonly path: string;
  readonly #answer: (ask: Ask) => Promise<Choice>;
  readonly #usage: () => string;
  readonly #onAnswer: (code: number) => void;
  readonly #onDone: (done: Done) => void;
  readonly #log: Log;
  readonly #uncounted: Recurring;
  #server: Server | undefined;
  #inode: number | undefined;

  /**
   * @param options.usage returns how full this node's networks are, in words
   * @param options.onAnswer called for each question that was understood, with the refusal's code or 0
   * @param options.onDone called for each command of the plugin that ended
   */
  constructor(options: {
    path: string;
    answer: (ask: Ask) => Promise<Choice>;
    usage?: () => string;
    onAnswer?: (code: number) => void;
    onDone?: (done: Done) => void;
    log: Log;
  }) {
    this.path = options.path;
    this.#answer = options.answer;
    this.#usage = options.usage ?? (() => '');
    this.#onAnswer = options.onAnswer ?? (() => undefined);
    this.#onDone = options.onDone ?? (() => undefined);
    this.#log = options.log;
    this.#uncounted = new Recurring(
      options.log,
      'ended commands of the CNI plugin are not counted',
      'ended commands of the CNI plugin are counted again',
    );
  }

  /**
   * Listens, and replaces a socket without a listener.
   * @throws ListenError if another agent listens, or with the system's error
   */
  async listen(): Promise<void> {
    if (Buffer.byteLength(this.path) > longestPath) {
      throw new ListenError(
        `cannot listen at ${this.path}: a socket's path has at most ${longestPath} bytes`,
      );
    }
    try {
      mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
      await this.#clear();
      this.#server = await this.#bind();
      this.#inode = lstatSync(this.path).ino;
      this.#hearUntold();
    } catch (cause) {
      if (cause instanceof ListenError) throw cause;
      throw new ListenError(`cannot listen at ${this.path}: ${messageOf(cause)}`, { cause });
    }
  }

  /**
   * Listens again if the socket was removed, and hears what could not be told.
   * @throws ListenError
   */
  async repair(): Promise<void> {
    if (this.#server !== undefined) this.#hearUntold();
    const inode = inodeOf(this.path);
    if (this.#server === undefined || inode === this.#inode) return;
    await this.#clear();
    this.#log.warn('the socket was removed; listening again', {
      object: this.path,
      command: `stat ${this.path}`,
      output: inode === undefined ? 'no such file' : 'another file is in its place',
    });
    this.#server.close();
    await this.listen();
  }

  /** Ends open connections, and removes the socket. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
      server.closeAllConnections();
    });
  }

  #hearUntold(): void {
    const untold = untoldBeside(this.path);
    const { ended, faults } = takeUntold(untold);
    if (faults.length > 0) this.#uncounted.failed(faults);
    else this.#uncounted.succeeded(untold);
    for (const done of ended) this.#onDone(done);
  }

  async #clear(): Promise<void> {
    const file = lstatSync(this.path, { throwIfNoEntry: false });
    if (file === undefined) return;
    if (!file.isSocket()) throw new ListenError(`${this.path} exists and is no socket; it is left as it is`);
    if (await answers(this.path)) throw new ListenError(`another agent listens at ${this.path}`);
    rmSync(this.path, { force: true });
  }

  #bind(): Promise<Server> {
    const server = createServer({
      headersTimeout: headersMs,
      requestTimeout: answerMs,
      connectionsCheckingInterval: 500,
      maxHeaderSize: 8 * 1024,
    });
    server.on('request', (request, response) => {
      void this.#serve(request, response);
    });
    server.on('clientError', (error, socket) => {
      this.#log.debug('CNI socket: bad request', faultOf(this.path, error, 'read'));
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
    });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      // it is bound synchronously, before any client can connect
      const umask = process.umask(0o177);
      try {
        server.listen(this.path, () => {
          resolve(server);
        });
      } finally {
        process.umask(umask);
      }
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      send(response, await this.#reply(request));
    } catch (error) {
      if (error instanceof CutOff) {
        this.#log.debug('CNI socket: bad request', faultOf(this.path, error, `read ${request.url ?? ''}`));
        return;
      }
      const command = `${request.method ?? ''} ${request.url ?? ''}`;
      this.#log.error('CNI socket: a request failed', { object: this.path, command, output: error });
      send(response, refusal(500, { code: refusals.tryAgain, msg: `the agent failed: ${messageOf(error)}` }));
    }
  }

  /** @throws CutOff */
  async #reply(request: IncomingMessage): Promise<Reply> {
    const { method = '', url = '' } = request;
    if (![networksPath, usagePath, donePath].includes(url))
      return refuse(404, `no such path; there are ${networksPath}, ${usagePath} and ${donePath}`);
    if (method !== 'POST') return { ...refuse(405, `${method} is not allowed`), headers: { allow: 'POST' } };
    const body = await readBody(request);
    if (body === undefined) return refuse(413, `the request has more than ${largestBody} bytes`);
    if (url === usagePath) return { status: 200, body: { usage: this.#usage() } };
    if (url === donePath) {
      const done = parseDone(body);
      if (typeof done === 'string') return refuse(400, done);
      this.#onDone(done);
      return { status: 200, body: {} };
    }
    const ask = parseAsk(body);
    if ('code' in ask) {
      this.#log.debug('CNI socket: bad request', faultOf(this.path, ask.msg, `${method} ${url}`));
      return refusal(400, ask);
    }
    const choice = await this.#answer(ask);
    this.#onAnswer('code' in choice ? choice.code : 0);
    if ('networks' in choice) return { status: 200, body: choice };
    const { namespace, pod, containerID } = ask;
    const level = choice.code === refusals.tryAgain ? 'debug' : 'info';
    this.#log[level]('container refused', {
      object: pod === undefined ? `containers/${containerID}` : `pods/${pod}`,
      command: `${method} ${url}`,
      output: choice.msg,
      namespace,
      containerID,
      code: choice.code,
    });
    return refusal(statuses[choice.code] ?? 403, choice);
  }
}

interface Reply {
  status: number;
  body: object;
  headers?: Record<string, string>;
}

/** HTTP status by the refusal's code; 403 for all others. */
const statuses: Record<number, number> = { [refusals.tryAgain]: 503, [refusals.badRequest]: 400 };

const refusal = (status: number, body: CNIRefusal): Reply => ({ status, body });
const refuse = (status: number, msg: string): Reply => refusal(status, { code: refusals.badRequest, msg });

function send(response: ServerResponse, { status, body, headers }: Reply): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
    ...headers,
  });
  response.end(text);
}

const inodeOf = (path: string): number | undefined => lstatSync(path, { throwIfNoEntry: false })?.ino;

/** Whether a process listens at the socket. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connect(path);
    const end = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(probeMs, () => {
      end(true);
    });
    socket.on('connect', () => {
      end(true);
    });
    socket.on('error', (error) => {
      end(!isErrno(error, 'ECONNREFUSED') && !isErrno(error, 'ENOENT'));
    });
  });
}

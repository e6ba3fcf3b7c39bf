import http from 'node:http';

/** There is no engine: its socket does not exist, or (`stopped`) no process listens on it. */
export class NoEngine extends Error {
  override name = 'NoEngine';
  readonly stopped: boolean;

  constructor(message: string, stopped: boolean, cause: unknown) {
    super(message, { cause });
    this.stopped = stopped;
  }
}

/** The engine did not answer, or answered with an error. The message holds the engine's own words. */
export class EngineError extends Error {
  override name = 'EngineError';
}

/** Generous, because a network with IPv6 and iptables takes Docker a second on a busy node. */
const patienceMs = 30_000;

/**
 * HTTP on the engine's UNIX socket. Every request
 * @throws NoEngine, EngineError
 */
export class EngineSocket {
  readonly path: string;
  readonly #timeoutMs: number;
  readonly #onAway: () => void;

  /** @param onAway called when a request finds no engine */
  constructor(path: string, { timeoutMs = patienceMs, onAway }: { timeoutMs?: number; onAway: () => void }) {
    this.path = path;
    this.#timeoutMs = timeoutMs;
    this.#onAway = onAway;
  }

  /** The whole answer to one request. */
  async request(method: string, path: string, body?: unknown): Promise<string> {
    const signal = AbortSignal.timeout(this.#timeoutMs);
    const reply = await this.open(method, path, { body, signal });
    // the connection may break, or time out, in the middle of the answer
    return text(reply).catch((cause: unknown) => {
      throw this.#broken(cause as Error, signal, callText(method, path));
    });
  }

  #away(cause: NodeJS.ErrnoException): NoEngine | undefined {
    const { path: socket } = this;
    if (cause.code === 'ENOENT') return new NoEngine(`there is no Docker engine: no ${socket}`, false, cause);
    if (cause.code !== 'ECONNREFUSED') return undefined;
    return new NoEngine(`the Docker engine does not run: no process answers at ${socket}`, true, cause);
  }

  #broken(cause: Error, signal: AbortSignal, what: string): EngineError {
    // Node reports a time-out differently before and after the reply's headers
    const late = signal.aborted && (signal.reason as Error).name === 'TimeoutError';
    const why = late ? `no answer within ${this.#timeoutMs / 1000} s` : cause.message;
    return new EngineError(`${why} (${what})`, { cause });
  }

  /** The answer to one request as it arrives, once its headers say that it was accepted. */
  open(
    method: string,
    path: string,
    { body, signal }: { body?: unknown; signal: AbortSignal },
  ): Promise<http.IncomingMessage> {
    const what = callText(method, path);
    return new Promise((resolve, reject) => {
      const request = http.request(
        {
          socketPath: this.path,
          method,
          path,
          signal,
          agent: false,
          headers: { host: 'docker', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        },
        (reply) => {
          const { statusCode = 0 } = reply;
          if (statusCode >= 200 && statusCode < 300) resolve(reply);
          else
            text(reply).then(
              (answer) => {
                reject(new EngineError(`${words(answer)} (${what}: ${statusCode})`));
              },
              (cause: unknown) => {
                reject(this.#broken(cause as Error, signal, what));
              },
            );
        },
      );
      request.on('error', (cause: NodeJS.ErrnoException) => {
        const away = this.#away(cause);
        if (away !== undefined) this.#onAway();
        reject(away ?? this.#broken(cause, signal, what));
      });
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

/** `GET /v1.41/networks` */
export const callText = (method: string, path: string): string => `${method} ${path.replace(/\?.*/, '')}`;

async function text(reply: http.IncomingMessage): Promise<string> {
  let all = '';
  for await (const chunk of reply.setEncoding('utf8')) all += chunk as string;
  return all;
}

/** Takes the message out of Docker's error replies, `{"message":"…"}`. */
function words(answer: string): string {
  try {
    const { message } = JSON.parse(answer) as { message?: unknown };
    if (typeof message === 'string') return message;
  } catch {
    // other answers are shown as they are
  }
  return answer.trim().slice(0, 200);
}

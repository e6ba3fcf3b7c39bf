import type { Call, Gate } from './client.ts';
import type { MemoryServer } from './server.ts';

/** A gate that lets everything through at once and in order. */
export class OpenGate implements Gate {
  readonly #waiting = new Set<() => void>();

  constructor(server: MemoryServer) {
    server.onCommit.push(() => {
      for (const look of [...this.#waiting]) look();
    });
  }

  request(): Promise<void> {
    return Promise.resolve();
  }

  answer(): Promise<void> {
    return Promise.resolve();
  }

  events(_call: Call, waiting: () => number, signal: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const look = () => {
        if (waiting() === 0) return;
        this.#waiting.delete(look);
        signal.removeEventListener('abort', abort);
        resolve(waiting());
      };
      const abort = () => {
        this.#waiting.delete(look);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', abort);
      this.#waiting.add(look);
      look();
    });
  }
}

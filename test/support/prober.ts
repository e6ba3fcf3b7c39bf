import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Netns } from './netns.ts';
import type { Answer, Probe } from './probed.ts';

const program = fileURLToPath(new URL('probed.ts', import.meta.url));

/** Sends and answers TCP and UDP inside a namespace; ends with the test. */
export class Prober {
  readonly netns: Netns;
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #waiting = new Map<number, (text: string | undefined) => void>();
  #next = 0;

  private constructor(netns: Netns, child: ChildProcess, lines: Interface) {
    this.netns = netns;
    this.#child = child;
    this.#lines = lines;
    lines.on('line', (line) => {
      const { id, text } = JSON.parse(line) as Answer;
      this.#waiting.get(id)?.(text);
      this.#waiting.delete(id);
    });
  }

  /** Listens on those ports: TCP and UDP, IPv4 and IPv6. */
  static async start(netns: Netns, ports: number[] = [80]): Promise<Prober> {
    const child = spawn(...netns.enter(process.execPath, [program, ...ports.map(String)]), {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const lines = createInterface({ input: child.stdout });
    await once(lines, 'line');
    return new Prober(netns, child, lines);
  }

  /** @returns the address that the other side saw; undefined if no answer came in time (1 s by default) */
  ask(kind: Probe['kind'], to: string, port = 80, ms = 1_000): Promise<string | undefined> {
    const id = this.#next++;
    const answer = new Promise<string | undefined>((resolve) => this.#waiting.set(id, resolve));
    this.#child.stdin?.write(`${JSON.stringify({ id, kind, to, port, ms } satisfies Probe)}\n`);
    return answer;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
    this.#lines.close();
  }
}

/**
 * Returns whether an answer comes, for all kinds alike. Permitted traffic gets enough time for a busy machine.
 * @throws Error if only some kinds are answered
 */
export async function tries(
  from: Prober,
  to: string,
  port = 80,
  kinds: ('tcp' | 'udp')[] = ['tcp', 'udp'],
  ms = 10_000,
): Promise<boolean> {
  const answers = await Promise.all(kinds.map((kind) => from.ask(kind, to, port, ms)));
  const reached = new Set(answers.map((answer) => answer !== undefined));
  if (reached.size > 1) throw new Error(`${to} ${port}: ${answers.join(', ')}`);
  return reached.has(true);
}

/** The same with a short time, for traffic that is expected to be dropped. */
export const briefly = (
  from: Prober,
  to: string,
  port?: number,
  kinds?: ('tcp' | 'udp')[],
): Promise<boolean> => tries(from, to, port, kinds, 700);

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { CheckResult } from '../../src/probe/prober.ts';
import type { Netns } from './netns.ts';
import type { Order } from './probenode.ts';

const program = fileURLToPath(new URL('probenode.ts', import.meta.url));

interface Said {
  id: number;
  listening: string[];
  problems: [string, string][];
  outcome?: CheckResult;
}

/** The prober of one node, in the node's namespace. */
export class ProbeNode {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #waiting = new Map<number, (said: Said) => void>();
  #next = 0;

  private constructor(child: ChildProcess, lines: Interface) {
    this.#child = child;
    this.#lines = lines;
    lines.on('line', (line) => {
      const answer = JSON.parse(line) as Said;
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
  }

  static async start(netns: Netns, port: number): Promise<ProbeNode> {
    const child = spawn(...netns.enter(process.execPath, [program, String(port)]), {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const lines = createInterface({ input: child.stdout });
    await once(lines, 'line');
    return new ProbeNode(child, lines);
  }

  tell(order: Omit<Order, 'id'>): Promise<Said> {
    const id = this.#next++;
    const answer = new Promise<Said>((resolve) => this.#waiting.set(id, resolve));
    this.#child.stdin?.write(`${JSON.stringify({ id, ...order } satisfies Order)}\n`);
    return answer;
  }

  async check(peer: string, options: Pick<Order, 'slowMs' | 'answerMs'> = {}): Promise<CheckResult> {
    const { outcome } = await this.tell({ peer, ...options });
    if (outcome === undefined) throw new Error('nothing was probed');
    return outcome;
  }

  /** As a process that gets no processor: the kernel takes packets and connections for it. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
    this.#lines.close();
  }
}

/**
 * A program in Perl: whether the kernel leaves checksums of packets to a link, as `ethtool -K LINK tx on` and `off`. Its
 * arguments are the link, and 1 or 0.
 */
// SIOCETHTOOL with ETHTOOL_STXCSUM: linux/sockios.h, linux/ethtool.h
export const switchOffload = `use Socket; socket(my $s, AF_INET, SOCK_DGRAM, 0) or die $!;
  my $value = pack("LL", 0x17, $ARGV[1]); my $request = pack("a16 P", $ARGV[0], $value);
  ioctl($s, 0x8946, $request) or die $!;`;

/** The kernel itself computes the checksums of packets that leave by that link. */
export async function softwareChecksums(netns: Netns, link: string): Promise<void> {
  const { code, stderr } = await netns.run('perl', ['-e', switchOffload, link, '0']);
  if (code !== 0) throw new Error(stderr);
}

import { createInterface } from 'node:readline';
import type { Snapshot } from '../../src/dataplane/snapshot.ts';
import { run } from '../../src/linux/run.ts';
import { Prober } from '../../src/probe/prober.ts';

// Answers probes inside a namespace, and probes on request; ends with its standard input. No agent is there that
// would mend the kernel meanwhile.

/** One line of standard input. */
export interface Order {
  id: number;
  /** From now on. */
  snapshot?: Snapshot;
  /** Absent: no node is probed. */
  peer?: string;
  slowMs?: number;
  /** How long an answer is waited for, 400 unless told. */
  answerMs?: number;
}

const [port = ''] = process.argv.slice(2);
let snapshot: Snapshot | undefined;
const times = { answer: 400, view: 60_000, connect: 500 };
const prober = new Prober({
  port: Number(port),
  snapshot: () => snapshot,
  steps: () => 0,
  metrics: { probed: () => undefined },
  times,
  // others work on the machine that tries it
  run: (program, args, options) => run(program, args, { ...options, timeoutMs: 20_000 }),
});
const say = (value: unknown) => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const order = JSON.parse(line) as Order;
  void (async () => {
    if (order.snapshot !== undefined) ({ snapshot } = order);
    times.answer = order.answerMs ?? 400;
    await prober.responder.refresh();
    const { listening } = prober.responder;
    const outcome =
      order.peer === undefined ? undefined : await prober.check(order.peer, order.slowMs ?? 10_000);
    say({ id: order.id, listening, problems: [...prober.responder.problems], outcome });
  })();
});
lines.on('close', () => process.exit(0));
say({ id: -1 });

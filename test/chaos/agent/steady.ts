import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { go } from '../../../hack/parts/part.ts';
import { buildProgram } from '../../../hack/parts/plugins.ts';
import { within, type Container } from '../../../hack/testbed/containers.ts';
import { root } from '../../../hack/testbed/lab.ts';
import { marks } from '../../../hack/testbed/processes.ts';
import { counted, type Measured, type Rig } from './rig.ts';

/** Datagrams a second, each way. */
const rate = 1_000;

/** One end's report: test/chaos/steady. */
interface End {
  sent: number;
  received: number;
  duplicates: number;
  written: number;
  read: number;
  broken?: string;
}

export interface Seen {
  sent: number;
  lost: number;
  duplicates: number;
  /** Megabytes of the TCP stream. */
  megabytes: number;
  /** Errors of the stream. */
  broken: string[];
}

function start({ lab }: Rig, container: Container, program: string, args: string[]) {
  const [enter = '', ...rest] = within(lab, container, [program, ...args]);
  const env = { ...process.env, ...marks(lab, 'chaos') };
  const child = spawn(enter, rest, { stdio: ['pipe', 'pipe', 'inherit'], env });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  const ended = once(child, 'close');
  const ready = Promise.race([
    once(child.stdout, 'data'),
    ended.then(() => {
      throw new Error(`no steady traffic in ${container.node}/${container.name}`);
    }),
  ]);
  const result = async (): Promise<End> => {
    child.stdin.end();
    await ended;
    return JSON.parse(output.split('\n')[1] ?? '') as End;
  };
  return { ready, quiet: () => child.stdin.write('\n'), result };
}

/** Sends numbered datagrams between two containers, both ways, and one TCP stream, until it is stopped. */
export async function steady(rig: Rig, [a, b]: [Container, Container]): Promise<() => Promise<Seen>> {
  const program = await buildProgram(join(root, 'test', 'chaos', 'steady'), join(root, 'dist', 'steady'), go);
  const to = (other: Container) => ['-to', other.addresses[0] ?? '', '-rate', String(rate)];
  const listener = start(rig, b, program, [...to(a), '-listen']);
  const opener = start(rig, a, program, to(b));
  await Promise.all([listener.ready, opener.ready]);
  return async () => {
    for (const each of [opener, listener]) each.quiet();
    // packets that are on their way may arrive
    await new Promise((resolve) => setTimeout(resolve, 500));
    const [first, second] = await Promise.all([opener.result(), listener.result()]);
    const broken = [first.broken, second.broken].filter((text) => text !== undefined);
    if (first.written !== second.read)
      broken.push(`${first.written} bytes were written, and ${second.read} arrived`);
    return {
      sent: first.sent + second.sent,
      lost: first.sent - second.received + second.sent - first.received,
      duplicates: first.duplicates + second.duplicates,
      megabytes: Math.round(first.written / 1e6),
      broken,
    };
  };
}

/** Figures of the steady traffic during an event. */
export const steadyFigures = (beside: string, seen: Seen): Measured[] => [
  {
    ...counted(`${beside}: packets lost of ${seen.sent}`, seen.lost, 0),
    ok: seen.lost === 0 && seen.sent > 0,
  },
  {
    what: `${beside}: breaks of a TCP stream of ${seen.megabytes} MB`,
    value: seen.broken.join('; ') || '0',
    asked: '0',
    ok: seen.broken.length === 0 && seen.megabytes > 0,
  },
];

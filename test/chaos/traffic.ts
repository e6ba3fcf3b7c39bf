import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Netns } from '../support/netns.ts';
import { buildFrames } from './build.ts';

export interface Sent {
  sent: number;
  /** Frames that the kernel refused with an error to the sender. */
  refused: number;
  ms: number;
}

const lines = (packets: readonly Buffer[]): string =>
  packets.map((packet) => `${packet.toString('hex')}\n`).join('');

async function run(netns: Netns, argv: string[], packets: readonly Buffer[]): Promise<Sent> {
  const [program = '', ...args] = argv;
  const { stdout, stderr, code } = await netns.run(program, args, { input: lines(packets) });
  if (code !== 0) throw new Error(`${argv.join(' ')}: ${stderr.trim()}`);
  return JSON.parse(stdout) as Sent;
}

/** Sends the given frames on a link, in turn. */
export const sendFrames = async (
  netns: Netns,
  link: string,
  frames: readonly Buffer[],
  count: number,
): Promise<Sent> => run(netns, [await buildFrames(), 'send', '-link', link, '-count', String(count)], frames);

const nobody = '65534';

/** Sends datagrams with a socket of a process without privileges. */
export async function sendUnprivileged(
  netns: Netns,
  options: { to: string; from?: string; connect?: boolean; payload: Buffer; count: number },
): Promise<Sent> {
  const { to, from, connect = false, payload, count } = options;
  const drop = ['--clear-groups', '--inh-caps=-all', '--bounding-set=-all', '--no-new-privs'];
  const argv = [
    ...['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, ...drop],
    ...[await buildFrames(), 'udp', '-to', to, '-count', String(count)],
    ...(from === undefined ? [] : ['-from', from]),
    ...(connect ? ['-connect'] : []),
  ];
  return run(netns, argv, [payload]);
}

/** Counts marked frames that a link receives. It listens once this resolves; the result counts by mark. */
export async function count(
  netns: Netns,
  link: string,
  marks: readonly Buffer[],
): Promise<() => Promise<number[]>> {
  const texts = marks.map((mark) => mark.toString('hex'));
  const [program, args] = netns.enter(await buildFrames(), ['count', '-link', link, ...texts]);
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const ended = once(child, 'close');
  await Promise.race([
    once(child.stdout, 'data'),
    ended.then(() => {
      throw new Error(`nothing counts at ${link}`);
    }),
  ]);
  return async () => {
    child.stdin.end();
    await ended;
    return (stdout.split('\n')[1] ?? '').split(' ').map(Number);
  };
}

/**
 * A mark that differs from all other traffic and from other marks. Its first byte sets the override flag of a neighbour
 * advertisement.
 */
export const markOf = (index: number): Buffer => Buffer.from([0x20, 0xb7, 0xe1, index]);

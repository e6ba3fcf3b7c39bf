import { setTimeout as sleep } from 'node:timers/promises';
import { harmless } from './text.ts';

/** Where a command writes, and how long it goes on. */
export interface Output {
  /** Whether the reader is a terminal that wants colours. */
  colours: boolean;
  /** Whether it shows more than ASCII: a terminal whose locale is of UTF-8. */
  unicode: boolean;
  line: (text: string) => void;
  /** Beside the answer: on standard error. */
  note: (text: string) => void;
  warn: (text: string) => void;
  /** Fires when the user ends the command. */
  ended: AbortSignal;
  pause: (ms: number) => Promise<void>;
}

/** This process's own. */
export function terminal(): Output {
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      ended.abort();
      // whatever is under way is not waited for: nothing is left behind by it
      process.exit(signal === 'SIGINT' ? 130 : 143);
    });
  }
  // whoever reads has seen enough
  process.stdout.on('error', () => process.exit(0));
  return {
    colours: process.stdout.isTTY && process.env.NO_COLOR === undefined && process.env.TERM !== 'dumb',
    unicode:
      process.stdout.isTTY &&
      /utf-?8/i.test(process.env.LC_ALL ?? process.env.LC_CTYPE ?? process.env.LANG ?? ''),
    line: (text) => process.stdout.write(`${text}\n`),
    note: (text) => process.stderr.write(`${harmless(text)}\n`),
    warn: (text) => process.stderr.write(`warning: ${harmless(text)}\n`),
    ended: ended.signal,
    pause: (ms) => sleep(ms, undefined, { signal: ended.signal }).catch(() => undefined),
  };
}

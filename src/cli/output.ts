import { setTimeout as sleep } from 'node:timers/promises';
import { harmless } from './text.ts';

/** Where a command writes, and when it must end. */
export interface Output {
  /** Whether the reader is a terminal that wants colours. */
  colours: boolean;
  /** Whether the terminal shows more than ASCII: its locale is UTF-8. */
  unicode: boolean;
  line: (text: string) => void;
  /** Writes a note to standard error, separate from the answer. */
  note: (text: string) => void;
  warn: (text: string) => void;
  /** Fires when the user ends the command. */
  ended: AbortSignal;
  /** The command goes on until the user ends it: Ctrl-C is no failure of it. */
  untilEnded: () => void;
  pause: (ms: number) => Promise<void>;
  /** Has work done before the user's signal ends the command, for five seconds at most. @returns takes that back */
  atEnd: (work: () => Promise<unknown>) => () => void;
}

const mostEndMs = 5_000;

/** This process's own. */
export function terminal(): Output {
  const ended = new AbortController();
  const works = new Set<() => Promise<unknown>>();
  const exits = { SIGINT: 130, SIGTERM: 143 };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      ended.abort();
      const exit = () => process.exit(exits[signal]);
      // ends at once: unfinished requests leave nothing behind
      if (works.size === 0) exit();
      const all = Promise.allSettled([...works].map((work) => work()));
      void Promise.race([all, sleep(mostEndMs)]).then(exit);
    });
  }
  // the reader closed the pipe
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
    untilEnded: () => (exits.SIGINT = 0),
    pause: (ms) => sleep(ms, undefined, { signal: ended.signal }).catch(() => undefined),
    atEnd: (work) => {
      works.add(work);
      return () => works.delete(work);
    },
  };
}

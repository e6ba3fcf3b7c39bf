import { signal } from '@preact/signals';
import { openChanges, Refusal, session } from './api.ts';

/** Increases whenever rows may have changed. */
export const change = signal(0);
/** `lost`: the page may show old data. */
export const link = signal<'connecting' | 'live' | 'lost'>('connecting');
/** Time of the operator's last message, in ms. */
export const heard = signal(Date.now());

/** An operator sends a message at least every 10 s. */
const silenceMs = 25_000;
const pauses = [500, 1_000, 2_000, 5_000, 10_000];

/**
 * Follows the operator's changes while the user is signed in.
 * @returns a function that stops it
 */
export function follow(): () => void {
  const ended = new AbortController();
  void run(ended.signal);
  return () => {
    ended.abort();
  };
}

async function run(ended: AbortSignal): Promise<void> {
  let failures = 0;
  const isOver = () => ended.aborted || session.value !== 'in';
  while (!isOver()) {
    const attempt = new AbortController();
    const abort = AbortSignal.any([ended, attempt.signal]);
    let watchdog = setTimeout(() => undefined, 0);
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => {
        attempt.abort();
      }, silenceMs);
      heard.value = Date.now();
    };
    try {
      alive();
      const body = await openChanges(abort);
      failures = 0;
      link.value = 'live';
      // rows may have changed while the stream was closed, or between the first rows and its start
      change.value++;
      await listen(body, alive);
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) return;
      failures++;
    } finally {
      clearTimeout(watchdog);
      attempt.abort();
    }
    if (isOver()) return;
    // an operator ends each stream after a while, which is no failure
    if (failures > 0) link.value = 'lost';
    await new Promise((resolve) => setTimeout(resolve, pauses[Math.min(failures, pauses.length - 1)]));
  }
}

async function listen(body: ReadableStream<Uint8Array>, alive: () => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  let known: string | undefined;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [, data] = /^data: (.*)$/.exec(line) ?? [];
      if (data === undefined) continue;
      if (known !== undefined && data !== known) change.value++;
      known = data;
    }
  }
}

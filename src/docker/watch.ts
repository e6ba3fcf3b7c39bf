import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../log.ts';
import { NoEngine, type Engine } from './engine.ts';

/** An engine that is installed later is found within this time; one that restarts soon after it is back. */
const restMs = { first: 250, most: 5_000 };

/**
 * Follows the engine's events from when there is one, and again whenever it comes back.
 * @param onChange something may be different: an event, or (`restarted`) an engine that came, or went
 */
export function watchEngine(
  engine: Pick<Engine, 'follow'>,
  onChange: (restarted: boolean) => void,
  log: Log,
): { stop: () => void } {
  const stopped = new AbortController();
  const { signal } = stopped;
  const isStopped = () => signal.aborted;
  const run = async () => {
    const stream: { open: boolean; restMs: number } = { open: false, restMs: restMs.first };
    const onOpen = () => {
      stream.open = true;
      stream.restMs = restMs.first;
      onChange(true);
    };
    const wasOpen = () => stream.open;
    while (!isStopped()) {
      stream.open = false;
      const ended = await engine
        .follow(
          onOpen,
          () => {
            onChange(false);
          },
          signal,
        )
        .catch((error: unknown) => error);
      if (isStopped()) return;
      if (wasOpen()) {
        log.info('the Docker engine went away; waiting for it');
        onChange(true);
      } else if (!(ended instanceof NoEngine)) {
        log.debug('no events of the Docker engine', { error: ended });
      }
      await sleep(stream.restMs, undefined, { signal }).catch(() => undefined);
      stream.restMs = Math.min(restMs.most, stream.restMs * 2);
    }
  };
  void run();
  return {
    stop: () => {
      stopped.abort();
    },
  };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { faultOf, type Log } from '../log.ts';
import { Recurring } from '../recurring.ts';
import type { Engine } from './engine.ts';
import { NoEngine } from './socket.ts';

/**
 * Pauses between attempts. An engine that is installed later is found within `most`; a quick restart is noticed soon.
 */
const restMs = { first: 250, most: 5_000 };

/** What its lines in the log concern. */
const object = 'Docker engine';

/**
 * Follows the engine's events as soon as there is an engine, and again whenever it comes back.
 * @param onChange called when something may have changed: after an event, or (`restarted`) when an engine came or
 * went
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
    const faults = new Recurring(
      log,
      'the Docker engine went away; waiting for it',
      'the Docker engine is back',
    );
    const stream: { open: boolean; restMs: number } = { open: false, restMs: restMs.first };
    const onOpen = () => {
      stream.open = true;
      faults.succeeded(object);
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
      const fault = () => faultOf(object, ended ?? 'the stream of events ended', 'GET /events');
      if (wasOpen()) {
        faults.failed([fault()]);
        onChange(true);
      } else if (!(ended instanceof NoEngine)) {
        log.debug('no events of the Docker engine', fault());
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

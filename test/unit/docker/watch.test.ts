import { expect, test } from '@jest/globals';
import { watchEngine } from '../../../src/docker/watch.ts';
import { eventually } from '../../support/eventually.ts';
import { recordingLog } from '../../support/fixture.ts';

test('an engine whose stream of events ends again and again is logged once when it goes and once when it is back', async () => {
  const log = recordingLog();
  let streams = 0;
  const follow = (onOpen: () => void) => {
    streams++;
    onOpen();
    return Promise.resolve();
  };
  const watch = watchEngine({ follow }, () => undefined, log);
  await eventually(() => {
    expect(streams).toBeGreaterThan(4);
  });
  watch.stop();
  expect(log.lines.filter((line) => !line.startsWith('debug'))).toEqual([
    'warn the Docker engine went away; waiting for it object="Docker engine" command="GET /events" output="the stream of events ended"',
    'info the Docker engine is back object="Docker engine" attempts=1',
  ]);
});

import { EventEmitter, once } from 'node:events';
import { matters, monitor } from '../../../src/linux/monitor.ts';
import type { Log } from '../../../src/log.ts';

test.each([
  ['44.128.0.3 dev vtep1024 lladdr 70:b3:d5:80:00:03 PERMANENT ', true],
  ['44.128.0.3 dev vtep1024 FAILED ', true],
  ['Deleted 9.0.1.0/24 nhid 5 via 44.128.0.3 dev vtep1024 proto 142 ', true],
  ['10.0.0.5 dev eth0 lladdr 02:00:00:00:00:03 REACHABLE ', false],
  ['10.0.0.5 dev eth0 FAILED ', false],
  ['ff02::16 dev m-dcos lladdr 33:33:00:00:00:16 NOARP ', false],
])('%s: %s', (line, reported) => {
  expect(matters(line)).toBe(reported);
});

test.each([
  ['ends', ['sh', '-c', 'echo 9.0.1.0/24; echo sorry >&2; exit 1'], 'sorry'],
  ['is not there', ['ovt-none'], 'spawn ovt-none ENOENT'],
])(
  'a monitor that %s is started again, and what it may have missed is looked for',
  async (_, command, why) => {
    const events = new EventEmitter();
    const warned: unknown[] = [];
    const quiet = () => undefined;
    const log: Log = {
      debug: quiet,
      info: quiet,
      error: quiet,
      warn: (_message, fields) => warned.push(fields.output),
    };
    let calls = 0;
    const watch = monitor(() => ++calls >= 3 && events.emit('enough'), {
      log,
      command: command as [string, ...string[]],
      restartMs: 5,
    });
    await once(events, 'enough');
    watch.stop();
    expect(warned).toEqual([why]);
  },
);

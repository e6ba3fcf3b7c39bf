import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { takeUntold } from '../../../src/containers/done.ts';
import { takenFrom } from '../../../src/host/directories.ts';
import { scratch } from '../../support/fixture.ts';

let at: ReturnType<typeof scratch>;
beforeEach(() => {
  at = scratch();
  mkdirSync(at.path('run'));
});
afterEach(() => {
  at.drop();
});

const untold = () => at.path('run', 'agent.sock.untold');
const report = `${JSON.stringify({ command: 'ADD', code: 0, seconds: 1 })}\n`;

/** Takes the reports; each fault as its command and output. */
function take(path = untold()) {
  const { ended, faults } = takeUntold(path);
  return { ended, faults: faults.map(({ command, output }) => `${command}: ${String(output)}`) };
}

test.each<[string, () => void]>([
  [
    'a directory',
    () => {
      mkdirSync(untold());
    },
  ],
  // to read it would block the whole agent for ever
  ['a FIFO', () => execFileSync('mkfifo', [untold()])],
  [
    'a symbolic link',
    () => {
      writeFileSync(at.path('other'), report);
      symlinkSync(at.path('other'), untold());
    },
  ],
])('%s in the place of the reports is removed unread', (_, put) => {
  put();
  expect(take()).toEqual({
    ended: [],
    faults: [`read ${untold()}: it is not a regular file; it is removed unread`],
  });
  expect(readdirSync(at.path('run'))).toEqual([]);
});

test('a file that is too large is removed unread', () => {
  writeFileSync(untold(), 'x'.repeat(200_000));
  expect(take()).toEqual({
    ended: [],
    faults: [`read ${untold()}: the file has 200000 bytes; it is removed unread`],
  });
  expect(readdirSync(at.path('run'))).toEqual([]);
});

test('what an agent that was killed had taken is removed, and is no fault', () => {
  writeFileSync(takenFrom(untold()), report);
  expect(take()).toEqual({ ended: [], faults: [] });
  expect(readdirSync(at.path('run'))).toEqual([]);
});

test('reports that can be neither read nor removed are faults, and nothing is thrown', () => {
  symlinkSync('loop', at.path('loop'));
  const path = at.path('loop', 'agent.sock.untold');
  expect(take(path)).toEqual({
    ended: [],
    faults: [
      expect.stringMatching(`^read ${path}: .*symbolic links`),
      expect.stringMatching(`^rm -rf ${takenFrom(path)}: .*symbolic links`),
    ],
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { bound } from '../../hack/conformance/bound.ts';
import { until } from '../../hack/testbed/processes.ts';

const mark = `ovt-bound-${process.pid}`;

/** Returns the processes that have the mark in their environment. */
const marked = () =>
  readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`OVT_MARK=${mark}`);
    } catch {
      return false;
    }
  });

afterEach(() => {
  for (const pid of marked()) process.kill(Number(pid), 'SIGKILL');
});

test('a bound command ends with all its children when its parent is killed', async () => {
  // two children, one of them in its own session
  const script = 'setsid sleep 60 & sleep 60 & wait';
  const argv = JSON.stringify(bound([], 'sh', '-c', script));
  const start = `const [program, ...args] = ${argv};
    require('node:child_process').spawn(program, args, { stdio: 'inherit' });`;
  const command = spawn(process.execPath, ['-e', start], {
    stdio: 'ignore',
    env: { ...process.env, OVT_MARK: mark },
  });
  // the parent, unshare, sh and both sleeps
  await until('all of it runs', () => (marked().length >= 5 ? true : undefined), { seconds: 20 });
  command.kill('SIGKILL');
  await once(command, 'exit');
  await until('all of it is gone', () => (marked().length === 0 ? true : undefined), { seconds: 10 });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { end, leaderOf, processesOf, start, until } from '../../../hack/testbed/processes.ts';

const lab = { name: 'unit', dir: mkdtempSync(join(tmpdir(), 'overlaynet-processes-')) };

afterAll(async () => {
  await end(lab, {}, 'SIGKILL');
  rmSync(lab.dir, { recursive: true });
});

test('children of a killed process are not taken for it, and are ended with its role', async () => {
  const pid = start(lab, 'agent', ['sh', '-c', 'sleep 300 & wait']);
  await until('its child runs', () => (processesOf(lab).length === 2 ? true : undefined));
  expect(leaderOf(lab, 'agent')?.pid).toBe(pid);

  process.kill(pid, 'SIGKILL');
  await until('it is gone', () => (leaderOf(lab, 'agent') ? undefined : true), { seconds: 5 });
  expect(processesOf(lab)).toHaveLength(1);

  await end(lab, { role: 'agent' }, 'SIGTERM');
  expect(processesOf(lab)).toEqual([]);
});

import { sweep } from '../../../src/containers/sweep.ts';
import { run } from '../../../src/linux/run.ts';
import { directoriesIn, recordingLog, scratch } from '../../support/fixture.ts';

const directories = directoriesIn({ path: (...parts) => ['', 'ovt', ...parts].join('/') });
const swept = async (result: { code?: number; stdout?: string; stderr?: string }) => {
  const log = recordingLog();
  const calls: string[][] = [];
  const problem = await sweep({
    plugin: '/opt/cni/bin/overlaynet',
    directories,
    run: (program, args) => {
      calls.push([program, ...args]);
      return Promise.resolve({ code: 0, stdout: '', stderr: '', ...result });
    },
    log,
  });
  return { problem, lines: log.lines, calls };
};

test('the plugin gets the agent’s directories, and the agent logs what it freed', async () => {
  const { problem, lines, calls } = await swept({ stdout: '{"freed":["cafe/eth0"],"kept":3}\n' });
  expect(problem).toBeUndefined();
  expect(calls).toEqual([
    ['/opt/cni/bin/overlaynet', 'sweep', '--state-dir', '/ovt/state', '--lease-dir', '/ovt/leases'],
  ]);
  expect(lines).toEqual(['info swept freed=1 kept=3 what=["cafe/eth0"]']);
});

test('what the plugin sets aside is logged', async () => {
  const { lines } = await swept({ stdout: '{"freed":[],"kept":0}', stderr: 'x.json is corrupt\n' });
  expect(lines).toEqual([
    'warn swept, with problems object="/ovt/state" ' +
      'command="/opt/cni/bin/overlaynet sweep --state-dir /ovt/state --lease-dir /ovt/leases" output="x.json is corrupt"',
    'info swept freed=0 kept=0',
  ]);
});

test('its failure is reported with its own message', async () => {
  expect((await swept({ code: 1, stderr: 'open /ovt/state: permission denied\n' })).problem).toBe(
    '/opt/cni/bin/overlaynet sweep: open /ovt/state: permission denied',
  );
  expect((await swept({ code: 2 })).problem).toBe('/opt/cni/bin/overlaynet sweep: exit status 2');
  expect((await swept({ stdout: 'nonsense' })).problem).toMatch(/^\/opt\/cni\/bin\/overlaynet sweep: .*JSON/);
});

test('without a plugin there is nothing to sweep with', async () => {
  const at = scratch();
  const log = recordingLog();
  try {
    const plugin = at.path('absent');
    expect(await sweep({ plugin, directories, run, log })).toBeUndefined();
    expect(log.lines).toEqual([`info nothing to sweep with file="${plugin}"`]);
  } finally {
    at.drop();
  }
});

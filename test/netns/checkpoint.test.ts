import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { CheckpointFile, type Checkpoint } from '../../src/agent/checkpoint.ts';
import { cluster } from '../support/cluster.ts';
import { recordingLog } from '../support/fixture.ts';

/** Holds a file system of 256 KiB in its own mount namespace, which ends with this process. */
let holder: ChildProcess;
let dir: string;
const mounted = '/tmp';
beforeAll(async () => {
  const script = `mount -t tmpfs -o size=256k ovt ${mounted} && echo ready && exec cat`;
  holder = spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ready = await Promise.race([
    once(holder.stdout!, 'data'),
    once(holder, 'exit').then(() => undefined),
  ]);
  expect(String(ready)).toBe('ready\n');
  dir = `/proc/${String(holder.pid)}/root${mounted}`;
});
afterAll(async () => {
  const gone = once(holder, 'exit');
  holder.stdin?.end();
  await gone;
});

const checkpoint = (nodes: number): Checkpoint => ({
  snapshot: cluster(nodes, 0),
  networks: ['dcos'],
  namespaces: [],
});
const path = () => `${dir}/checkpoint.json`;

test('a full disk is reported until there is room again, and keeps the last good checkpoint', () => {
  const log = recordingLog();
  const file = new CheckpointFile({ dir, log, intervalMs: 0 });
  file.save(checkpoint(3));
  const good = readFileSync(path(), 'utf8');
  writeFileSync(`${dir}/ballast`, Buffer.alloc(150_000));

  file.save(checkpoint(500));
  expect(file.problem).toBe('cannot write the checkpoint: ENOSPC: no space left on device, write');
  expect(log.lines).toEqual([
    expect.stringMatching(/^error cannot write the checkpoint object=.* output="ENOSPC/),
  ]);
  expect(readFileSync(path(), 'utf8')).toBe(good);

  file.save(checkpoint(500));
  expect(log.lines).toHaveLength(1);

  rmSync(`${dir}/ballast`);
  file.save(checkpoint(500));
  expect(file.problem).toBeUndefined();
  expect(new CheckpointFile({ dir, log }).load('node0')).toEqual(checkpoint(500));
});

test('a read-only file system is reported', async () => {
  const file = new CheckpointFile({ dir, log: recordingLog(), intervalMs: 0 });
  const remount = spawn('nsenter', [
    `--mount=/proc/${String(holder.pid)}/ns/mnt`,
    'mount',
    '-o',
    'remount,ro',
    mounted,
  ]);
  expect(await once(remount, 'exit')).toEqual([0, null]);
  file.save(checkpoint(4));
  expect(file.problem).toMatch(/^cannot write the checkpoint: EROFS: read-only file system, open /);
});

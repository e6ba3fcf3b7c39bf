import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { KubeObject } from '../../../src/api/types.ts';
import { connect } from '../../../src/kube/client.ts';
import { LeaderElection } from '../../../src/kube/lease.ts';
import { leases, type Resource } from '../../../src/kube/resources.ts';
import { silent } from '../../../src/log.ts';
import { controlPlane, type ControlPlane } from '../../support/controlplane.ts';
import { TcpProxy } from '../../support/kubeproxy.ts';
import { eventually, found } from '../../support/eventually.ts';

const namespaces: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };
const namespace = `ovt-lease-${Date.now().toString(36)}`;
const times = { leaseDurationMs: 4000, renewDeadlineMs: 3000, retryPeriodMs: 300 };

describe('LeaderElection', () => {
  let plane: ControlPlane;
  const undo: (() => Promise<void> | void)[] = [];

  /** `log` records the events of all candidates of a test. */
  const candidate = (name: string, identity: string, log: string[], server = plane.server) => {
    const client = connect({ kubeconfig: plane.kubeconfigAt(server) });
    const election = new LeaderElection({
      ...{ client, namespace, name, identity, log: silent },
      ...times,
      onStartedLeading: (signal) => {
        log.push(`${identity} leads`);
        signal.addEventListener('abort', () => log.push(`${identity} aborted`));
      },
      onStoppedLeading: () => log.push(`${identity} stopped`),
    });
    void election.run();
    undo.push(async () => {
      await election.stop();
      await client.close();
    });
    return election;
  };

  beforeAll(async () => {
    plane = await controlPlane();
    await plane.client.apply(namespaces, { metadata: { name: namespace } });
  });
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });
  afterAll(async () => {
    await plane.stop();
  });

  test('one of two leads and renews; a released Lease is taken without waiting for its end', async () => {
    const log: string[] = [];
    const a = candidate('two', 'a', log);
    await eventually(() => a.isLeader, found, { what: 'a leads' });
    const b = candidate('two', 'b', log);
    await sleep(times.leaseDurationMs + 500);
    expect([log, a.isLeader, b.isLeader]).toEqual([['a leads'], true, false]);
    const lease = await plane.client.get(leases(namespace), 'two');
    expect(lease?.spec).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 4, leaseTransitions: 0 });
    expect(lease?.spec?.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    expect(lease?.spec?.renewTime).not.toBe(lease?.spec?.acquireTime);
    await a.stop();
    const released = performance.now();
    await eventually(() => b.isLeader, found, { what: 'b leads' });
    expect(performance.now() - released).toBeLessThan(times.leaseDurationMs - 1000);
    expect(log).toEqual(['a leads', 'a aborted', 'a stopped', 'b leads']);
    expect((await plane.client.get(leases(namespace), 'two'))?.spec).toMatchObject({ leaseTransitions: 1 });
  });

  test('a leader that is cut off gives up before another takes over, and becomes a candidate again', async () => {
    const log: string[] = [];
    const proxy = await TcpProxy.to(plane.server);
    undo.push(() => proxy.close());
    const a = candidate('cut', 'a', log, proxy.url);
    await eventually(() => a.isLeader, found, { what: 'a leads' });
    const b = candidate('cut', 'b', log);
    await sleep(400);
    proxy.blackHole();
    await eventually(() => b.isLeader, found, { what: 'b leads' });
    expect(a.isLeader).toBe(false);
    expect(log).toEqual(['a leads', 'a aborted', 'a stopped', 'b leads']);
    proxy.heal();
    await b.stop();
    await eventually(() => a.isLeader, found, { what: 'a leads again' });
  });

  test('another candidate replaces a paused leader, which stops when it wakes', async () => {
    const program = fileURLToPath(new URL('../../support/kubecandidate.ts', import.meta.url));
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', process.execPath, program, namespace, 'paused', 'child'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, NODE_OPTIONS: '', KUBECONFIG: plane.kubeconfig },
      },
    );
    undo.push(() => void child.kill('SIGKILL'));
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await eventually(() => said === 'leading\n', found, { what: 'the child leads' });
    child.kill('SIGSTOP');
    const log: string[] = [];
    const b = candidate('paused', 'b', log);
    await eventually(() => b.isLeader, found, { what: 'b leads' });
    child.kill('SIGCONT');
    await eventually(() => said === 'leading\naborted\nstopped\n', found, {
      what: 'the child stops',
    });
    await sleep(500);
    expect([log, b.isLeader]).toEqual([['b leads'], true]);
  });

  test('a candidate that stops leaves the Lease to its leader', async () => {
    const log: string[] = [];
    const a = candidate('leave', 'a', log);
    await eventually(() => a.isLeader, found, { what: 'a leads' });
    const b = candidate('leave', 'b', log);
    await sleep(300);
    await b.stop();
    expect((await plane.client.get(leases(namespace), 'leave'))?.spec?.holderIdentity).toBe('a');
    expect([log, a.isLeader]).toEqual([['a leads'], true]);
  });
});

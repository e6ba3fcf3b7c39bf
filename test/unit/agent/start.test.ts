import { mkdirSync, writeFileSync } from 'node:fs';
import { Agent } from '../../../src/agent/agent.ts';
import { CheckpointFile } from '../../../src/agent/checkpoint.ts';
import { Metrics } from '../../../src/agent/metrics.ts';
import type { Kernel } from '../../../src/agent/pass.ts';
import type { Failure } from '../../../src/dataplane/state.ts';
import { connect } from '../../../src/kube/client.ts';
import { silent } from '../../../src/log.ts';
import { eventually } from '../../support/eventually.ts';
import { recordingLog, scratch, snapshot } from '../../support/fixture.ts';

let at: ReturnType<typeof scratch>;
beforeEach(() => {
  at = scratch();
});
afterEach(() => {
  at.drop();
});

/** A kubeconfig of a server that does not answer. */
const kubeconfig = JSON.stringify({
  clusters: [{ name: 'ovt', cluster: { server: 'http://127.0.0.1:1' } }],
  users: [{ name: 'ovt', user: {} }],
  contexts: [{ name: 'ovt', context: { cluster: 'ovt', user: 'ovt' } }],
  'current-context': 'ovt',
});

const unstarted = () => Promise.reject(new Error('it was not started'));

/** An agent whose API server does not answer. */
async function using(kernel: Kernel, work: (agent: Agent, of: ReturnType<typeof parts>) => Promise<void>) {
  const dir = at.dir;
  writeFileSync(at.path('kubeconfig'), kubeconfig);
  const client = connect({ kubeconfig: at.path('kubeconfig') });
  const own = parts();
  const agent = new Agent({
    node: 'node2',
    addresses: ['172.17.0.3'],
    directories: { stateDir: dir, cniConfDir: dir, cniNetDir: dir, leaseDir: dir, runDir: dir },
    cniPlugin: at.path('overlaynet'),
    client,
    kernel,
    uplinkMTU: unstarted,
    host: { problems: [], look: unstarted },
    ranges: { toRegister: unstarted },
    ...own,
  });
  try {
    await work(agent, own);
  } finally {
    await agent.stop();
    await client.close();
  }
}
const parts = () => ({ log: recordingLog(), metrics: new Metrics('0') });

test('an agent that cannot read its checkpoint starts nothing before start(), and its metric says so', async () => {
  mkdirSync(at.path('checkpoint.json'));
  await using({ reconcile: unstarted }, async (_, { log, metrics }) => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(log.lines).toEqual([
      expect.stringMatching(
        /^error cannot read the checkpoint object="(\S+checkpoint.json)" command="read \1" output="EISDIR: /,
      ),
    ]);
    expect((await metrics.render()).body).toMatch(/^overlaynet_agent_checkpoint\S* 1$/m);
  });
});

describe('a pass that an agent makes from its checkpoint', () => {
  beforeEach(() => {
    const file = new CheckpointFile({ dir: at.dir, log: silent });
    file.save({ snapshot: snapshot(), networks: [], namespaces: [] });
    file.flush();
  });

  test('costs the processor time that it needs, not the elapsed time: otherwise repairs on a busy machine would wait longer and longer', async () => {
    const failures: Failure[] = [];
    const reconcile = async () => {
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      return { changes: 0, failures, unread: [] };
    };
    await using({ reconcile }, async (agent) => {
      agent.start();
      await eventually(() => {
        expect(agent.compared.endedAt).toBeGreaterThan(0);
      });
      expect(agent.compared.ms).toBeLessThan(1_500);
    });
  });

  test('says when it ended and what failed in it, but for what no pass can mend, and nothing before it has ended', async () => {
    const failures: Failure[] = [
      { message: 'no vxlan', network: 'dcos' },
      { message: 'IPv6 is off', network: 'dcos6', lasting: true },
    ];
    const reconcile = () => Promise.resolve({ changes: 0, failures, unread: [] });
    await using({ reconcile }, async (agent) => {
      const before = Date.now();
      expect(agent.lastPass).toBeUndefined();
      agent.start();
      await eventually(() => {
        expect(agent.lastPass?.problem).toBe('dcos: no vxlan');
      });
      expect(Date.parse(agent.lastPass?.endedAt ?? '')).toBeGreaterThanOrEqual(before);
    });
  });

  test('logs each failure with its object, once while it lasts, and the end', async () => {
    const one = { message: 'ip: File exists', command: 'ip route add 9.0.1.0/24', network: 'dcos' };
    const other = { message: 'ipset: not found; install ipset', command: 'ipset save' };
    const lasting = { message: 'IPv6 is off', network: 'dcos6', lasting: true as const };
    const failures: Failure[] = [one, other, lasting];
    let passes = 0;
    const reconcile = () =>
      Promise.resolve({ changes: 0, failures: ++passes > 3 ? [lasting] : failures, unread: [] });
    await using({ reconcile }, async (agent, { log }) => {
      agent.start();
      const said = () =>
        log.lines.filter((line) => /^(warn|info) (?!cannot follow).*(overlaynetworks|data path)/.test(line));
      await eventually(() => {
        expect(said().map((line) => line.replace(/ retryMs=.*/, ''))).toEqual([
          'warn this cannot be repaired; change the node\'s setup object="overlaynetworks/dcos6" command="compare" output="IPv6 is off"',
          'warn reconcile failed object="overlaynetworks/dcos" command="ip route add 9.0.1.0/24" output="ip: File exists"',
          'warn reconcile failed object="data path" command="ipset save" output="ipset: not found; install ipset"',
          'info reconcile succeeds again object="data path" attempts=3',
        ]);
      });
    });
  });

  test('names the command and its output if it fails', async () => {
    const failure = {
      message: 'ip: Invalid argument (link set m-dcos up)',
      command: 'ip link set m-dcos up',
    };
    const reconcile = () => Promise.resolve({ changes: 0, failures: [failure], unread: [] });
    await using({ reconcile }, async (agent, { log }) => {
      agent.start();
      await eventually(() => {
        expect(log.lines).toContainEqual(
          expect.stringMatching(
            /^warn reconcile failed object="data path" command="ip link set m-dcos up" output="ip: Invalid argument \(link set m-dcos up\)" retryMs=\d+$/,
          ),
        );
      });
    });
  });
});

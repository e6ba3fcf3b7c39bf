import { mkdirSync, writeFileSync } from 'node:fs';
import { Agent } from '../../../src/agent/agent.ts';
import { Metrics } from '../../../src/agent/metrics.ts';
import { connect } from '../../../src/kube/client.ts';
import { recordingLog, scratch } from '../../support/fixture.ts';

let at: ReturnType<typeof scratch>;
beforeEach(() => {
  at = scratch();
});
afterEach(() => {
  at.drop();
});

/** Nothing answers there. */
const kubeconfig = JSON.stringify({
  clusters: [{ name: 'ovt', cluster: { server: 'http://127.0.0.1:1' } }],
  users: [{ name: 'ovt', user: {} }],
  contexts: [{ name: 'ovt', context: { cluster: 'ovt', user: 'ovt' } }],
  'current-context': 'ovt',
});

test('an agent that cannot read its checkpoint begins nothing before it is started, and its metric says so', async () => {
  mkdirSync(at.path('checkpoint.json'));
  const [log, metrics] = [recordingLog(), new Metrics('0')];
  const dir = at.dir;
  writeFileSync(at.path('kubeconfig'), kubeconfig);
  const client = connect({ kubeconfig: at.path('kubeconfig') });
  const agent = new Agent({
    node: 'node2',
    addresses: ['172.17.0.3'],
    directories: { stateDir: dir, cniConfDir: dir, cniNetDir: dir, leaseDir: dir, runDir: dir },
    cniPlugin: at.path('overlaynet'),
    client,
    kernel: { reconcile: () => Promise.reject(new Error('it was not started')) },
    uplinkMTU: () => Promise.reject(new Error('it was not started')),
    host: { problems: [], look: () => Promise.reject(new Error('it was not started')) },
    ranges: { said: () => Promise.reject(new Error('it was not started')) },
    metrics,
    log,
  });
  try {
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(log.lines).toEqual([expect.stringContaining('cannot read the checkpoint: EISDIR')]);
    expect((await metrics.render()).body).toMatch(/^overlaynet_agent_checkpoint\S* 1$/m);
  } finally {
    await agent.stop();
    await client.close();
  }
});

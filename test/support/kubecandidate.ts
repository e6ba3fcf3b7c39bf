import { connect } from '../../src/kube/client.ts';
import { LeaderElection } from '../../src/kube/lease.ts';
import { silent } from '../../src/log.ts';

/**
 * A candidate for a Lease in its own process, which tests can pause. It uses KUBECONFIG; its arguments are namespace,
 * Lease and identity. It prints what happens.
 */
const [namespace = '', name = '', identity = ''] = process.argv.slice(2);
const say = (word: string) => process.stdout.write(`${word}\n`);
const election = new LeaderElection({
  client: connect(),
  namespace,
  name,
  identity,
  leaseDurationMs: 2000,
  renewDeadlineMs: 1400,
  retryPeriodMs: 300,
  log: silent,
  onStartedLeading: (signal) => {
    say('leading');
    signal.addEventListener('abort', () => say('aborted'));
  },
  onStoppedLeading: () => say('stopped'),
});
await election.run();

import { reasonsOf } from '../../../src/cli/status.ts';
import { pageOf } from '../../../src/rows/answer.ts';
import { parseQuery } from '../../../src/rows/query.ts';
import type { AgentRow, FindingRow } from '../../../src/rows/row.ts';
import { verdicts, type Verdict } from '../../../src/rows/probe.ts';
import { findingOf } from '../../../src/verdict/finding.ts';
import { condition, world } from './world.ts';

const [evidence, remedy] = ['nothing arrives', 'open the port'];
const row = (verdict: Verdict) => ({ peer: 'node2', is: 'Wrong' as const, verdict, evidence, remedy });

/** What an operator answers where node1's agent has that condition beside good ones. */
function askedOf(of: Parameters<typeof findingOf>[0]) {
  const { type, status, reason, message } = findingOf(of)!;
  const all = world();
  const agent = all.agents.get('node1')!;
  const conditions = [condition('Registered', 'True', 'Accepted'), condition(type, status, reason, message)];
  const agents = new Map([['node1', { ...agent, status: { ...agent.status!, conditions } }]]);
  const answer = <T>(kind: 'findings' | 'agents') =>
    pageOf(kind, { ...all, agents }, parseQuery(kind, 'node=node1')).items as T[];
  return {
    findings: answer<FindingRow>('findings').filter((one) => one.type === 'DataPathProbed'),
    agents: answer<AgentRow>('agents'),
  };
}

test.each(verdicts)(
  '%s is a finding with evidence and remedy, and the agent works in spite of it',
  (verdict) => {
    const { findings, agents } = askedOf([row(verdict)]);
    const weight = verdict === 'PeerDown' || verdict === 'Slow' ? 'Warning' : 'Error';
    expect(findings).toEqual([
      expect.objectContaining({
        weight,
        object: 'overlayagent/node1',
        reason: verdict,
        message: 'node2: nothing arrives; open the port',
      }),
    ]);
    expect(agents.map(({ state }) => state)).toEqual(['Degraded']);
    // a peer that is switched off is no reason to be woken by `status --wait`
    expect(reasonsOf([], agents, findings, undefined, undefined)).toHaveLength(weight === 'Error' ? 1 : 0);
  },
);

test.each([
  ['all is well', [{ peer: 'node2', is: 'OK' as const, evidence: '', remedy: '' }]],
  ['no agent answers', [{ peer: 'node2', is: 'Unknown' as const, evidence: 'it is busy', remedy: '' }]],
])('where %s there is none, and the agent is as before', (_, of) => {
  const { findings, agents } = askedOf(of);
  expect(findings).toEqual([]);
  expect(agents.map(({ state }) => state)).toEqual(['Ready']);
});

import { readFileSync } from 'node:fs';
import { reference } from '../../hack/testbed/reference.ts';
import { agentGet, environment } from '../support/lab.ts';

interface State {
  agents: { ip: string }[];
}
const expected = JSON.parse(readFileSync(reference, 'utf8')) as State;

describe('the state document', () => {
  test('equals the reference document', async () => {
    const response = await fetch(environment('STATE_URL'));
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await response.json()).toEqual(expected);
  });

  test('answers HEAD without a body, and refuses other methods', async () => {
    const head = await fetch(environment('STATE_URL'), { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const post = await fetch(environment('STATE_URL'), { method: 'POST', body: '{}' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  test.each(['node1', 'node2', 'node3'])('of %s contains its own part', async (node) => {
    const index = ['node1', 'node2', 'node3'].indexOf(node);
    expect(JSON.parse((await agentGet(node, '/overlay-agent/overlay'))!)).toEqual(expected.agents[index]);
  });
});

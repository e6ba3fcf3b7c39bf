import { setTimeout as sleep } from 'node:timers/promises';
import { inNode } from '../../hack/testbed/namespaces.ts';
import { until } from '../../hack/testbed/processes.ts';
import {
  addressOf,
  agentGet,
  agentReady,
  filesOf,
  hackLab,
  inContainer,
  kernelOf,
  kubectl,
  lab,
  manifest,
  onNode,
  pinging,
  running,
  settledKernel,
  withdraw,
} from '../support/lab.ts';

// the kernel reports a bridge port again 15 s after it was made, when the bridge's forward delay is over
beforeAll(async () => {
  const start = Date.now();
  while (Date.now() - start < 60_000 && (await announced('node2', () => sleep(16_000))) !== '');
});

/** Returns the kernel's notifications about links, addresses, routes, rules and nexthops during `work`. */
async function announced(node: string, work: () => Promise<unknown>): Promise<string> {
  const kinds = ['link', 'address', 'route', 'rule', 'nexthop'];
  const monitor = await running([...inNode(lab, node), 'ip', 'monitor', ...kinds]);
  await work();
  return monitor.stop();
}

describe.each(['stop', 'kill'])('an agent after %s and start', (verb) => {
  test('loses no packet and changes no kernel object', async () => {
    const before = await settledKernel('node2');
    const traffic = await pinging({ node: 'node2', name: 'dcos' }, addressOf('node3', 'dcos'));
    const changes = await announced('node2', async () => {
      await hackLab('agent', verb, 'node2');
      expect(await kernelOf('node2')).toBe(before);
      await hackLab('agent', 'start', 'node2');
      await agentReady('node2');
    });
    const { sent, received } = await traffic.stop();
    expect(sent).toBeGreaterThan(20);
    expect(received).toBe(sent);
    expect(changes).toBe('');
    expect(await kernelOf('node2')).toBe(before);
  });
});

test('an agent that restarts without the API server keeps everything, and continues when the server is back', async () => {
  const before = [await settledKernel('node2'), await filesOf('node2')];
  const traffic = await pinging({ node: 'node2', name: 'dcos' }, addressOf('node3', 'dcos'));
  await hackLab('api', 'stop');
  try {
    await hackLab('agent', 'stop', 'node2');
    await hackLab('agent', 'start', 'node2');
    await until('the agent answers', () => agentGet('node2', '/healthz'), { lab, roles: ['agent-node2'] });
    // containers start and stop meanwhile
    await hackLab(
      'run',
      'node2',
      'dcos',
      '--name',
      'meanwhile',
      '--',
      'ping',
      '-c',
      '1',
      addressOf('node3', 'dcos'),
    );
    expect([await kernelOf('node2'), await filesOf('node2')]).toEqual(before);
    const { sent, received } = await traffic.stop();
    expect(sent).toBeGreaterThan(20);
    expect(received).toBe(sent);
  } finally {
    await hackLab('api', 'start');
  }
  await agentReady('node2');
  await kubectl(['apply', '-f', '-'], manifest('after', '10.78.0.0/16', 'fd78::/48'));
  try {
    const known = async () => ((await filesOf('node2')).includes('after.conflist') ? true : undefined);
    await until('node2 has the network made after', known, { seconds: 120 });
  } finally {
    await withdraw('after');
  }
  expect(await kernelOf('node2')).toBe(before[0]);
});

test('an agent reverts manual changes in the kernel', async () => {
  const before = await settledKernel('node2');
  await onNode('node2', 'ip', 'route', 'del', '9.0.2.0/24');
  await until('the route is back', async () => ((await kernelOf('node2')) === before ? true : undefined));
  const ping = ['ping', '-n', '-c', '2', '-i', '0.2', '-W', '1', addressOf('node3', 'dcos')];
  expect(await inContainer('node2', 'dcos', ...ping)).toContain(' 0% packet loss');
});

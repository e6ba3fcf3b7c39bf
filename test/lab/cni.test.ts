import { setTimeout as sleep } from 'node:timers/promises';
import { leaderOf, until } from '../../hack/testbed/processes.ts';
import { startAgent } from '../../hack/testbed/workloads.ts';
import { agentGet, agentReady, hackLab, kubectl, lab, manifest, onNode, withdraw } from '../support/lab.ts';
import {
  dropPod,
  heldBy,
  joinPod,
  leavePod,
  makePod,
  statusOf,
  sweepNode,
  type Pod,
} from '../support/pods.ts';

const node = 'node2';
const pods: Pod[] = [];
async function made(name: string, options: Partial<Pod> = {}): Promise<Pod> {
  const pod = { node, name, ...options };
  await makePod(pod);
  pods.push(pod);
  return pod;
}
async function gone(pod: Pod): Promise<void> {
  await leavePod(pod);
  await dropPod(pod);
  pods.splice(pods.indexOf(pod), 1);
}
const addressesOf = async (pod: Pod) => {
  const joined = await joinPod(pod);
  if ('error' in joined) throw new Error(joined.error);
  return joined.addresses;
};

let before: string[];
beforeAll(async () => {
  before = await heldBy(node);
});
afterEach(async () => {
  for (const pod of [...pods]) await gone(pod);
  expect(await heldBy(node)).toEqual(before);
});

test('a node admits pods once its data path is complete', async () => {
  expect(await statusOf(node)).toBe('');
  expect(await onNode(node, 'ls', '/etc/cni/net.d')).toBe('05-overlaynet.conflist\n');
});

test('a pod gets the default network, the network of its annotation, or that of its namespace’s annotation', async () => {
  const plain = await made('plain');
  expect(await addressesOf(plain)).toEqual([expect.stringMatching(/^9\.0\.1\.\d+$/)]);
  const both = await made('both', { annotation: 'dcos6,dcos' });
  expect(await addressesOf(both)).toEqual([
    expect.stringMatching(/^fd01:b::1:0:0:/),
    expect.stringMatching(/^9\.0\.1\.\d+$/),
  ]);
  await kubectl(['create', 'namespace', 'ovt-six']);
  try {
    await kubectl(['annotate', 'namespace', 'ovt-six', 'overlaynet.dev/network=dcos6']);
    const six = await made('six', { namespace: 'ovt-six' });
    // the annotation takes a moment to reach the agent
    const addresses = await until('the annotation takes effect', async () => {
      const got = await addressesOf(six);
      if (got[0]?.startsWith('fd01:b:') === true) return got;
      await leavePod(six);
      return undefined;
    });
    expect(addresses).toHaveLength(1);
    const ping = ['ip', 'netns', 'exec', 'six', 'ping', '-n', '-c', '1', '-w', '20'];
    const [peer = ''] = (await onNode(node, 'ip', '-n', 'both', '-6', '-br', 'addr', 'show', 'dev', 'eth0'))
      .split(/\s+/)
      .filter((text) => text.startsWith('fd01'));
    expect(await onNode(node, ...ping, peer.replace(/\/.*/, ''))).toContain('1 received');
  } finally {
    await kubectl(['delete', 'namespace', 'ovt-six', '--wait=false']);
  }
});

test('a pod that asks for a network that does not exist gets an error', async () => {
  const pod = await made('wrong', { annotation: 'nowhere' });
  expect(await joinPod(pod)).toEqual({
    error: expect.stringContaining(
      'annotation overlaynet.dev/network of pod default/wrong: there is no network nowhere; networks in force: dcos',
    ),
  });
  const bare: Pod = { node: 'node1', name: 'bare' };
  await makePod(bare);
  expect(await joinPod(bare)).toEqual({
    error: expect.stringContaining('the node has no bridges (label overlaynet.dev/bridges=false)'),
  });
  await dropPod(bare);
});

test('twenty pods that start at once get different addresses', async () => {
  const burst = await Promise.all(Array.from({ length: 20 }, (_, i) => made(`burst${i}`)));
  const addresses = await Promise.all(burst.map(addressesOf));
  expect(new Set(addresses.flat()).size).toBe(20);
  await Promise.all(burst.map(leavePod));
  expect(await heldBy(node)).toEqual(before);
});

test('pods beyond a subnet’s size are refused, the others stay, and the node still admits pods', async () => {
  const small = manifest('small', '10.79.0.0/24', 'fd79::/48').replace('prefix: 24', 'prefix: 28');
  await kubectl(['apply', '-f', '-'], small);
  try {
    const ready = async () =>
      (await agentGet(node, '/overlay-agent/overlay'))?.includes('small') ? true : undefined;
    await until('small is on the node', ready);
    const first = await made('small0', { annotation: 'small' });
    await until('small can be joined', async () => ('error' in (await joinPod(first)) ? undefined : true));
    const rest = await Promise.all(
      Array.from({ length: 7 }, (_, i) => made(`small${i + 1}`, { annotation: 'small' })),
    );
    const joined = await Promise.all(rest.map(joinPod));
    // of the half's eight addresses, one is the subnet's, one the bridge's and one the broadcast address
    expect(joined.filter((one) => 'addresses' in one)).toHaveLength(4);
    const refused = joined.filter((one) => 'error' in one);
    expect(refused).toHaveLength(3);
    for (const { error } of refused) {
      expect(error).toContain('network small: no address is left on this node: all 5 of 10.79.');
    }
    const leases = (await heldBy(node)).filter((line) => line.includes('networks/small/10.'));
    expect(leases).toHaveLength(5);
    expect(await statusOf(node)).toBe('');
  } finally {
    for (const pod of [...pods]) await gone(pod);
    await withdraw('small');
  }
});

test('pods of a deleted network keep their leases until they end', async () => {
  await kubectl(['apply', '-f', '-'], manifest('brief', '10.80.0.0/16', 'fd80::/48'));
  const pod = await made('stays', { annotation: 'brief' });
  await until('brief can be joined', async () => ('error' in (await joinPod(pod)) ? undefined : true));
  const forced = ['--type=merge', '-p', '{"spec":{"deletionPolicy":"Force"}}'];
  await kubectl(['patch', 'overlaynetwork', 'brief', ...forced]);
  await kubectl(['delete', 'overlaynetwork', 'brief', '--wait=false']);
  const condition = async () => {
    const path = '{.status.conditions[?(@.type=="ContainersReady")].message}';
    return kubectl(['get', 'overlayagent', node, '-o', `jsonpath=${path}`]);
  };
  const said = 'containers can join; network brief is gone, and still has pod default/stays';
  await until('the agent says what keeps the leases', async () =>
    (await condition()) === said ? true : undefined,
  );
  expect((await heldBy(node)).filter((line) => line.includes('networks/brief/'))).not.toEqual([]);
  await leavePod(pod);
  await withdraw('brief');
  await until('the agent is content', async () =>
    (await condition()) === 'containers can join' ? true : undefined,
  );
});

test('an agent restores a conflist that was edited or removed', async () => {
  const text = await onNode(node, 'cat', '/etc/cni/net.d/05-overlaynet.conflist');
  await onNode(
    node,
    'sh',
    '-c',
    'echo {} > /etc/cni/net.d/05-overlaynet.conflist; rm /etc/cni/overlaynet.d/dcos.conflist',
  );
  // a kernel change makes the agent check now, instead of within a minute
  await onNode(node, 'sh', '-c', 'ip link add ovt-a type veth peer name ovt-b; ip link del ovt-a');
  const whole = async () =>
    (await onNode(
      node,
      'sh',
      '-c',
      'cat /etc/cni/net.d/05-overlaynet.conflist; ls /etc/cni/overlaynet.d',
    )) === `${text}dcos.conflist\ndcos6.conflist\n`
      ? true
      : undefined;
  await until('the conflists are back', whole);
});

test('everything that an ADD leaves is freed, if the agent is killed at any moment of it', async () => {
  let failed = 0;
  for (let round = 0; round < 20; round++) {
    const trio = await Promise.all(Array.from({ length: 3 }, (_, i) => made(`kill${i}`)));
    const { pid } = leaderOf(lab, `agent-${node}`)!;
    // the first round kills the agent before the ADD can ask it
    if (round === 0) process.kill(pid, 'SIGKILL');
    const joining = Promise.all(trio.map(joinPod));
    // an ADD takes about 30 ms once its programs have started
    await sleep(Math.random() * 80);
    if (round > 0) process.kill(pid, 'SIGKILL');
    const joined = await joining;
    const missed = trio.filter((_, i) => 'error' in joined[i]!);
    failed += missed.length;
    for (const one of joined) {
      if ('error' in one) expect(one.error).toMatch(/the overlaynet agent of this node does not answer/);
    }
    // failed pods have left nothing; in half of the rounds the others end without a DEL
    const held = (await heldBy(node)).filter((line) => !before.includes(line));
    expect(held).toHaveLength(3 * (trio.length - missed.length));
    for (const pod of trio) {
      if (round % 2 === 0) await leavePod(pod);
      await dropPod(pod);
      pods.splice(pods.indexOf(pod), 1);
    }
    await until('the agent is gone', () => (leaderOf(lab, `agent-${node}`) === undefined ? true : undefined));
    startAgent(lab, node);
    await agentReady(node);
  }
  expect(failed).toBeGreaterThan(0);
  await until('the last sweep', async () =>
    (await heldBy(node)).length === before.length ? true : undefined,
  );
  expect((await sweepNode(node)).freed).toEqual([]);
}, 240_000);

test('without an agent, pods wait and can be removed; a stopped agent continues where it was', async () => {
  const pod = await made('early');
  expect(await addressesOf(pod)).toHaveLength(1);
  await hackLab('agent', 'stop', node);
  try {
    const late = await made('late');
    expect(await joinPod(late)).toEqual({ error: expect.stringContaining('does not answer') });
    await leavePod(pod);
    expect(await statusOf(node)).toBe('');
  } finally {
    await hackLab('agent', 'start', node);
    await agentReady(node);
  }
  expect(await addressesOf(pods.find(({ name }) => name === 'late')!)).toHaveLength(1);
});

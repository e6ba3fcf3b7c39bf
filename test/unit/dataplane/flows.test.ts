import type { Isolation } from '../../../src/api/types.ts';
import { emptyPlan, type Change } from '../../../src/dataplane/change.ts';
import { desired } from '../../../src/dataplane/desired.ts';
import { flush, mustFlush } from '../../../src/dataplane/flows.ts';
import type { Observed } from '../../../src/dataplane/state.ts';
import { parseFlow } from '../../../src/linux/conntrack.ts';
import { cluster } from '../../support/cluster.ts';

const network = (index: number, name: string, isolation?: Isolation) => ({
  name,
  subnets: [{ cidr: `9.${index}.0.0/16`, prefix: 24 }],
  ...(isolation === undefined ? {} : { isolation }),
});

/** Of node0, 172.17.0.2, whose blocks are 9.X.0.0/24. */
const policy = (...networks: ReturnType<typeof network>[]) => {
  const apiServers = [{ address: '172.17.0.2', port: 6443 }];
  // an attacker's node may report any address: one inside an overlay does not count
  const further = [[], ['10.50.0.2', '9.2.1.2']];
  const state = desired({ ...cluster(3, 0, { networks, further }), apiServers });
  if (state?.policy === undefined) throw new Error('nothing is isolated');
  return state.policy;
};

const local = new Set(['172.17.0.2', '44.128.0.1', '9.1.0.1', '9.2.0.1', '127.0.0.1']);

/** `tcp 9.1.0.2 9.2.0.2:80`, or `… 10.96.0.1:80>9.2.0.2:8080` for a request to a Service. */
const flow = (text: string) => {
  const [protocol, from, asked = ''] = text.split(' ');
  const [to = '', server = to] = asked.split('>');
  const [[dst, dport], [src, sport]] = [to.split(':'), server.split(':')];
  const state = protocol === 'tcp' ? 'ESTABLISHED ' : '';
  return (
    `${protocol!} ${protocol === 'tcp' ? 6 : 17} 100 ${state}src=${from!} dst=${dst!} sport=4000 dport=${dport!} ` +
    `src=${src!} dst=${from!} sport=${sport!} dport=4000 [ASSURED] mark=0 use=1`
  );
};

const parsed = (flows: string[]) => flows.flatMap((text) => parseFlow(flow(text)) ?? []);

const ended = (of: ReturnType<typeof policy>, ...flows: string[]) => flush(parsed(flows), of, local, 4);

const red = network(1, 'red', { mode: 'Isolated' });
const blue = network(2, 'blue');

test('connections between networks that may no longer exchange packets end, by subnet; those within one stay', () => {
  const flows = ['tcp 9.1.0.2 9.2.0.2:80', 'udp 9.1.3.2 9.2.0.9:80', 'tcp 9.2.0.2 9.1.0.2:80'];
  const staying = ['tcp 9.1.0.2 9.1.1.2:80', 'tcp 9.2.0.2 9.2.1.2:80', 'tcp 9.1.0.2 8.8.8.8:80'];
  expect(ended(policy(red, blue), ...flows, ...staying)).toEqual([
    '-s 9.1.0.0/16 -d 9.2.0.0/16',
    '-s 9.2.0.0/16 -d 9.1.0.0/16',
  ]);
});

test('both sides must allow', () => {
  const green = network(3, 'green', { mode: 'Isolated', allow: ['red'] });
  const yellow = network(4, 'yellow', { mode: 'Isolated', allow: ['green'] });
  const flows = ['tcp 9.1.0.2 9.3.0.2:80', 'tcp 9.3.0.2 9.1.0.2:80', 'tcp 9.4.0.2 9.3.0.2:80'];
  expect(ended(policy(red, green, yellow), ...flows)).toHaveLength(3);
  const friends = network(1, 'red', { mode: 'Isolated', allow: ['green'] });
  expect(ended(policy(friends, green, yellow), ...flows)).toEqual(['-s 9.4.0.0/16 -d 9.3.0.0/16']);
});

test("a Service's connection is judged by its endpoint; connections to cluster DNS stay", () => {
  const of = policy(red, blue);
  expect(ended(of, 'tcp 9.1.0.2 10.96.0.9:80>9.2.0.2:8080')).toEqual(['-s 9.1.0.0/16 -d 10.96.0.9']);
  expect(ended(of, 'udp 9.1.0.2 10.96.0.10:53>9.2.0.2:53', 'tcp 9.1.0.2 10.96.0.10:53>9.2.1.2:5353')).toEqual(
    [],
  );
});

test('a connection to port 53 of another network stays if another node decides about it, and ends if this node does', () => {
  expect(ended(policy(red, blue), 'udp 9.1.1.2 9.2.0.2:53')).toEqual([]);
  expect(ended(policy(red, blue), 'udp 9.1.0.2 9.2.0.2:53')).toHaveLength(1);
});

test('what shares subnets, blocks or hosts with a connection that stays ends more narrowly', () => {
  const of = policy(red, blue);
  const end = 'tcp 9.1.0.2 10.96.0.9:80>9.2.0.2:8080';
  expect(ended(of, end, 'tcp 9.1.1.3 10.96.0.9:80>9.1.0.4:8080')).toEqual(['-s 9.1.0.0/24 -d 10.96.0.9']);
  expect(ended(of, end, 'tcp 9.1.0.3 10.96.0.9:80>9.1.0.4:8080')).toEqual([
    '-s 9.1.0.2 -d 10.96.0.9 -r 9.2.0.2',
  ]);
  const dns = 'udp 9.1.0.2 10.96.0.9:53>9.2.0.2:53';
  expect(ended(of, end, dns)).toEqual(['-p 6 -s 9.1.0.2 -d 10.96.0.9 -r 9.2.0.2 --sport 4000 --dport 80']);
});

describe('with hosts: Deny', () => {
  const shut = policy(network(1, 'red', { mode: 'Isolated', hosts: 'Deny' }), blue);

  test.each([
    ["another node's container to a process here", 'tcp 9.1.1.2 172.17.0.2:10250'],
    ["another node's container to a bridge here", 'tcp 9.1.1.2 9.1.0.1:80'],
    ["a process here to another node's container", 'tcp 44.128.0.1 9.1.1.2:80'],
    ['a process here to such a one by a Service', 'tcp 172.17.0.2 10.96.0.9:80>9.1.1.2:80'],
    [
      "another node's process to a container here by this node's port",
      'tcp 172.17.0.3 172.17.0.2:30080>9.1.0.2:80',
    ],
    ["a container here to another node's further address", 'tcp 9.1.0.2 10.50.0.2:22'],
    ['such a one by a Service', 'tcp 9.1.0.2 10.96.0.9:80>10.50.0.2:8080'],
    ["another node's process by that to this node's port", 'tcp 10.50.0.2 10.50.0.1:30080>9.1.0.2:80'],
  ])('%s ends', (_, text) => {
    expect(ended(shut, text)).toHaveLength(1);
  });

  test.each([
    ['a process here to a container here (probes)', 'tcp 9.1.0.1 9.1.0.2:80'],
    ['a container here to a process here', 'tcp 9.1.0.2 172.17.0.2:10250'],
    ['a container to the outside', 'tcp 9.1.0.2 8.8.8.8:443'],
    ['the outside by a NodePort of another node', 'tcp 44.128.0.2 9.1.0.2:80'],
    ['a container of an open network to a process here', 'tcp 9.2.1.2 172.17.0.2:10250'],
    ['a process here that asks DNS', 'udp 172.17.0.2 10.96.0.10:53>9.1.1.2:53'],
    ["an open network's container to another node's further address", 'tcp 9.2.0.2 10.50.0.2:22'],
    ["DNS by a Service on another node's further address", 'udp 9.1.0.2 10.96.0.10:53>10.50.0.2:53'],
    ["DNS on this node's own network", 'udp 9.1.1.2 172.17.0.2:53'],
  ])('%s goes on', (_, text) => {
    expect(ended(shut, text)).toEqual([]);
  });

  test('the API server alone where that is allowed', () => {
    const calls = policy(network(1, 'red', { mode: 'Isolated', hosts: 'Deny', allowAPIServer: true }), blue);
    const flows = ['tcp 9.1.1.2 172.17.0.2:6443', 'tcp 9.1.1.2 172.17.0.2:10250'];
    expect(ended(calls, ...flows)).toEqual([
      '-p 6 -s 9.1.1.2 -d 172.17.0.2 -r 172.17.0.2 --sport 4000 --dport 10250',
    ]);
    expect(ended(shut, ...flows)).toEqual(['-s 9.1.0.0/16 -d 172.17.0.2']);
  });
});

describe('connections are judged again', () => {
  const observed = (...sets: string[]): Observed => ({
    links: undefined,
    neighbours: undefined,
    fdb: undefined,
    nexthops: undefined,
    routes: undefined,
    rules: { 4: undefined, 6: undefined },
    sets: new Map(sets.map((name) => [name, { family: 4, entries: new Set() }])),
  });
  const add = (name: string): Change => ({
    kind: 'addEntry',
    name: `overlaynet-${name}-4`,
    entry: '9.1.0.0/16',
  });
  const remove = (name: string): Change => ({ ...add(name), kind: 'deleteEntry' }) as Change;

  test.each<[string, Change[], Change[], boolean]>([
    ['a network is allowed no more', [], [remove('may-red')], true],
    ['the API server moved', [add('api')], [remove('api')], true],
    ['a network is closed to nodes', [add('closed')], [], true],
    ['an isolated network grows', [add('may-red'), add('net-red')], [], true],
    ['one more is allowed', [add('may-red')], [], false],
    ['a network is opened to nodes', [], [remove('closed')], false],
    ['nodes come and go', [add('direct'), add('members')], [remove('direct'), remove('members')], false],
  ])('%s', (_, sets, staleSets, expected) => {
    expect(mustFlush({ ...emptyPlan(), sets, staleSets }, false, observed())).toBe(expected);
  });

  test('after rules were written, and after an earlier run that did not finish', () => {
    expect(mustFlush(emptyPlan(), true, observed())).toBe(true);
    expect(mustFlush(emptyPlan(), false, observed('overlaynet-unflushed'))).toBe(true);
    expect(mustFlush(emptyPlan(), false, observed())).toBe(false);
  });
});

import type { Isolation } from '../../../src/api/types.ts';
import { desired } from '../../../src/dataplane/desired.ts';
import type { Snapshot } from '../../../src/dataplane/snapshot.ts';
import type { Desired } from '../../../src/dataplane/state.ts';
import { cluster } from '../../support/cluster.ts';

const subnet = (cidr: string, prefix = 24) => ({ cidr, prefix });

/** Networks `a`, `b`, … in 9.1.0.0/16, 9.2.0.0/16, …, the first of both families. */
const networks = (...isolation: (Isolation | undefined)[]) =>
  isolation.map((each, index) => ({
    name: String.fromCharCode(97 + index),
    subnets: [subnet(`9.${index + 1}.0.0/16`), ...(index === 0 ? [subnet('fd01:1::/64', 80)] : [])],
    ...(each === undefined ? {} : { isolation: each }),
  }));

const of = (snapshot: Snapshot): Desired => {
  const state = desired(snapshot);
  if (state === undefined) throw new Error('nothing is wanted');
  return state;
};

const nodes = (count: number, ...isolation: (Isolation | undefined)[]) =>
  of(cluster(count, 0, { networks: networks(...isolation) }));

const set = (state: Desired, name: string) => [...(state.sets.get(`overlaynet-${name}`)?.entries ?? [])];

const rules = (state: Desired, family: 4 | 6, hook: string) =>
  state.chains[family].find((chain) => chain.table === 'mangle' && chain.hook === hook)?.rules ?? [];

const ofNetwork = (state: Desired, family: 4 | 6, name: string) =>
  rules(state, family, 'FORWARD').filter((rule) => rule.includes(`-net-${name}-`));

const isolated: Isolation = { mode: 'Isolated' };
const shut: Isolation = { mode: 'Isolated', hosts: 'Deny' };

test('open networks have no rules and no sets', () => {
  const open: Isolation = { mode: 'Open', allow: ['b'], hosts: 'Deny', allowAPIServer: true };
  const plain = nodes(2, undefined, undefined);
  const state = nodes(2, open, undefined);
  expect(state.chains).toEqual(plain.chains);
  expect(state.sets).toEqual(plain.sets);
  expect(state.policy).toBeUndefined();
});

test('an isolated network has two sets and two rules for each family; an open network beside it has none', () => {
  const state = nodes(2, { mode: 'Isolated', allow: ['c', 'a', 'gone'] }, undefined, undefined);
  expect(set(state, 'net-a-4')).toEqual(['9.1.0.0/16']);
  expect(set(state, 'may-a-4')).toEqual(['9.1.0.0/16', '9.3.0.0/16']);
  expect(set(state, 'net-a-6')).toEqual(['fd01:1::/64']);
  expect(ofNetwork(state, 4, 'a')).toEqual([
    '-m set --match-set overlaynet-net-a-4 src -m set ! --match-set overlaynet-may-a-4 dst -j DROP',
    '-m set --match-set overlaynet-net-a-4 dst -m set ! --match-set overlaynet-may-a-4 src -j DROP',
  ]);
  expect(ofNetwork(state, 6, 'a')).toHaveLength(2);
  expect([...ofNetwork(state, 4, 'b'), ...ofNetwork(state, 4, 'c')]).toEqual([]);
  expect(rules(state, 4, 'INPUT').filter((rule) => rule.includes('RELATED'))).toEqual([]);
});

test('a family without isolated networks has no rules', () => {
  const state = nodes(2, undefined, isolated);
  expect(ofNetwork(state, 4, 'b')).toHaveLength(2);
  expect(rules(state, 6, 'FORWARD')).toEqual([]);
  expect([...state.sets.keys()].filter((name) => /-(net|may)-.*-6$/.test(name))).toEqual([]);
});

test('rules and sets are the same however many nodes there are', () => {
  const [few, many] = [nodes(2, shut, isolated, undefined), nodes(500, shut, isolated, undefined)];
  expect(many.chains).toEqual(few.chains);
  for (const [name, { entries }] of many.sets) {
    if (!/-(direct|members)-/.test(name))
      expect([name, entries.size]).toEqual([name, few.sets.get(name)?.entries.size]);
  }
});

test('the longest name of a network gives a set name that ipset accepts', () => {
  const [network] = networks(isolated);
  const state = of(cluster(2, 0, { networks: [{ ...network!, name: 'a-13-char-nam' }] }));
  const lengths = [...state.sets.keys()].map((name) => name.length);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(31);
  expect(set(state, 'net-a-13-char-nam-4')).toEqual(['9.1.0.0/16']);
});

test('hosts: Deny closes the network to all but its own node, where a process sends and where it receives', () => {
  const state = nodes(3, shut, isolated);
  expect(set(state, 'closed-4')).toEqual(['9.1.0.0/16']);
  expect(set(state, 'own-4')).toEqual(['9.1.0.0/24', '9.2.0.0/24']);
  for (const hook of ['INPUT', 'POSTROUTING']) expect(rules(state, 4, hook).at(-1)).toBe('-j DROP');
  // what guards the tunnel stays, and comes first
  expect(rules(state, 4, 'INPUT')[1]).toMatch(/--dport 64000 -j DROP$/);
  expect(rules(state, 4, 'POSTROUTING')[1]).toMatch(/--dport 64000 .*-j DROP$/);
  expect(rules(state, 4, 'POSTROUTING')[2]).toMatch(/^-o vtep1024 .*-j MARK/);
});

test("hosts: Deny closes the network to other nodes' further addresses, which are neither registered ones nor overlays'", () => {
  const further = [['10.50.0.1'], ['10.50.0.2', '172.17.0.4', 'fd00:50::2'], ['10.50.0.3', '9.2.1.1']];
  const of3 = (...isolation: Isolation[]) => of(cluster(3, 0, { networks: networks(...isolation), further }));
  const state = of3(shut, isolated);
  expect(set(state, 'further-4')).toEqual(['10.50.0.2', '10.50.0.3', '9.2.1.1']);
  expect(set(state, 'further-6')).toEqual(['fd00:50::2']);
  const ofFurther = rules(state, 4, 'FORWARD').filter((rule) => rule.includes('-further-'));
  expect(ofFurther).toHaveLength(2);
  for (const rule of ofFurther) expect(rule).toContain('! --match-set overlaynet-overlays-4');
  expect([...of3(isolated, isolated).sets.keys()].filter((name) => name.includes('further'))).toEqual([]);
});

test("allowAPIServer opens the API servers' own addresses and ports to networks that have it, and to no other", () => {
  const apiServers = [
    { address: '172.17.0.2', port: 6443 },
    { address: '172.17.0.3', port: 6443 },
    { address: 'fd00:17::2', port: 8443 },
  ];
  const snapshot = cluster(3, 0, { networks: networks(shut, { ...shut, allowAPIServer: true }) });
  const state = of({ ...snapshot, apiServers });
  expect(set(state, 'callers-4')).toEqual(['9.2.0.0/16']);
  expect(set(state, 'api-4')).toEqual(['172.17.0.2', '172.17.0.3']);
  expect(rules(state, 4, 'INPUT').filter((rule) => rule.includes('-api-'))).toEqual([
    '-p tcp -m tcp --dport 6443 -m set --match-set overlaynet-callers-4 src -m set --match-set overlaynet-api-4 dst -j RETURN',
  ]);
  expect(state.sets.has('overlaynet-callers-6')).toBe(false);
  expect(state.failures).toEqual([]);
});

test('allowAPIServer fails its network while the API server’s address is unknown', () => {
  const failures = nodes(2, shut, { ...shut, allowAPIServer: true }).failures;
  expect(failures).toEqual([{ network: 'b', message: expect.stringContaining('allowAPIServer') as string }]);
});

import { isolationChains, isolationSets } from '../../../src/dataplane/isolation.ts';
import { policyOf } from '../../../src/dataplane/policy.ts';
import type { IPSet } from '../../../src/dataplane/state.ts';
import { walk, type Packet } from '../../../src/dataplane/walk.ts';
import { network, node2, snapshot } from '../../support/fixture.ts';

const sets = new Map<string, IPSet>([
  ['overlaynet-net-a-4', { family: 4, entries: new Set(['9.1.0.0/16']) }],
  ['overlaynet-may-a-4', { family: 4, entries: new Set(['9.1.0.0/16', '10.0.0.1']) }],
]);
const packet = (changes: Partial<Packet> = {}): Packet => ({
  family: 4,
  source: '9.1.0.2',
  target: '9.2.0.2',
  protocol: 'tcp',
  port: 80,
  iif: 'm-a',
  oif: 'vtep1024',
  ...changes,
});

test.each<[rule: string, decides: boolean | undefined, changes?: Partial<Packet>]>([
  ['-j DROP', true],
  ['-m set --match-set overlaynet-net-a-4 src -j DROP', true],
  ['-m set --match-set overlaynet-net-a-4 dst -j DROP', false],
  ['-m set ! --match-set overlaynet-may-a-4 dst -j DROP', true],
  ['-m set ! --match-set overlaynet-may-a-4 dst -j DROP', false, { target: '10.0.0.1' }],
  ['-m set --match-set overlaynet-gone-4 src -j DROP', undefined],
  ['-m conntrack --ctstate RELATED,ESTABLISHED -j DROP', false],
  ['-m conntrack ! --ctstate DNAT -j DROP', true],
  ['-m conntrack --ctstate DNAT --ctorigdstport 53 -j DROP', false],
  ['-p tcp -m tcp --dport 80 -j DROP', true],
  ['-p tcp -m tcp --dport 81 -j DROP', false],
  ['-p udp -m udp --dport 80 -j DROP', false],
  ['-p tcp -m tcp --dport 80 -j DROP', false, { protocol: 'icmp' }],
  ['-i m-+ -j DROP', true],
  ['-i vtep1024 -j DROP', false],
  ['! -i vtep1024 -j DROP', true],
  ['-o vtep1024 -j DROP', true],
  ['-o m-b -j DROP', false, {}],
  ['-s 9.1.0.0/16 -d 9.2.0.0/16 -j DROP', true],
  ['-s 9.3.0.0/16 -j DROP', false],
  ['-m addrtype --src-type LOCAL -j DROP', false],
  ['-m addrtype ! --src-type LOCAL -j DROP', true],
  ['-m mark --mark 0x1000/0x1000 -j DROP', false],
  ['-m mark --mark 0x0/0xffffe7ff -j DROP', true],
  ['-m rpfilter --validmark --invert -j DROP', undefined],
  ['-m odd --thing 7 -s 9.3.0.0/16 -j DROP', false],
  ['-m limit --limit 5/sec -j DROP', undefined],
])('%s decides: %s', (rule, decides, changes = {}) => {
  const { target, unsure } = walk([rule], sets, packet(changes));
  expect({ target, unsure }).toEqual({
    target: decides === true ? 'DROP' : undefined,
    unsure: decides === undefined ? [rule] : [],
  });
});

test('the first rule that applies decides, and marks do not', () => {
  const rules = [
    '-j MARK --set-xmark 0x1/0x1',
    '-s 9.9.0.0/16 -j DROP',
    '-s 9.1.0.0/16 -j RETURN',
    '-j DROP',
  ];
  expect(walk(rules, sets, packet())).toEqual({ target: 'RETURN', rule: rules[2], unsure: [] });
});

test('the rules of isolation are understood, every one', () => {
  const isolated = network('a', { cidr: '9.1.0.0/16', prefix: 24, state: 'Active' });
  isolated.spec.isolation = { mode: 'Isolated', hosts: 'Deny', allowAPIServer: true };
  const open = network('b', { cidr: '9.2.0.0/16', prefix: 24, state: 'Active' });
  const apiServers = [{ address: '172.17.0.9', port: 6443 }];
  const policy = policyOf(snapshot({ networks: [isolated, open], apiServers }), node2)!;
  const all = new Map(isolationSets(policy));
  all.set('overlaynet-overlays-4', { family: 4, entries: new Set(['9.1.0.0/16', '9.2.0.0/16']) });
  for (const name of ['direct', 'sources'])
    all.set(`overlaynet-${name}-4`, { family: 4, entries: new Set() });
  const judge = (source: string, target: string) => {
    const chain = isolationChains(policy, 'vtep1024')[4].find(({ hook }) => hook === 'FORWARD')!;
    const { target: verdict, unsure } = walk(chain.rules, all, packet({ source, target }));
    expect(unsure).toEqual([]);
    return verdict;
  };
  expect(judge('9.1.0.2', '9.2.0.2')).toBe('DROP');
  expect(judge('9.2.0.2', '9.1.0.2')).toBe('DROP');
  expect(judge('9.1.0.2', '9.1.3.2')).toBeUndefined();
  expect(judge('9.2.0.2', '9.2.3.2')).toBeUndefined();
});

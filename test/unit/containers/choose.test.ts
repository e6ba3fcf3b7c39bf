import type { Ask } from '../../../src/containers/ask.ts';
import { choose, needsNamespace, type Known } from '../../../src/containers/choose.ts';
import type { Namespace } from '../../../src/containers/requested.ts';
import { allocated, network, node2, snapshot, subnet } from '../../support/fixture.ts';
import { ask, known, plain, withDefault } from './known.ts';

/** `interface=network` of each, or the error's code and message. */
function outcome(changes: Partial<Ask>, facts = known, namespace: Namespace | undefined = plain) {
  const choice = choose(ask(changes), facts, namespace);
  return 'code' in choice
    ? `${choice.code} ${choice.msg}`
    : choice.networks.map((one) => `${one.interface}=${one.name}`).join(' ');
}

test('what the plugin needs of a network of both families: active blocks alone, IPv4 first', () => {
  expect(choose(ask({ annotation: 'both' }), known, plain)).toEqual({
    networks: [
      {
        name: 'both',
        interface: 'eth0',
        bridge: 'm-both',
        mtu: 1450,
        gatewayMAC: expect.stringMatching(/^02(:[0-9a-f]{2}){5}$/),
        ranges: [
          { subnet: '10.1.0.0/25', gateway: '10.1.0.1' },
          { subnet: '10.2.0.0/25', gateway: '10.2.0.1' },
          { subnet: 'fd02::/81', gateway: 'fd02::1' },
        ],
        defaultRoutes: ['0.0.0.0/0', '::/0'],
        routes: [],
      },
    ],
  });
});

test('the default route of each family is the first network’s that has it', () => {
  const routes = (annotation: string) => {
    const choice = choose(ask({ annotation }), known, plain);
    if ('code' in choice) throw new Error('refused');
    return choice.networks.map((one) => one.defaultRoutes);
  };
  expect(routes('dcos,dcos6')).toEqual([['0.0.0.0/0'], ['::/0']]);
  expect(routes('dcos6,both')).toEqual([['::/0'], ['0.0.0.0/0']]);
  expect(routes('both,dcos,dcos6')).toEqual([['0.0.0.0/0', '::/0'], [], []]);
});

test('a later network of a family has routes to all of its own subnets, draining ones too', () => {
  const routes = (annotation: string) => {
    const choice = choose(ask({ annotation }), known, plain);
    if ('code' in choice) throw new Error('refused');
    return choice.networks.map((one) => one.routes);
  };
  const both4 = ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16'];
  expect(routes('dcos,dcos6')).toEqual([[], []]);
  expect(routes('dcos,both')).toEqual([[], both4]);
  expect(routes('dcos6,both')).toEqual([[], ['fd02::/64']]);
  expect(routes('dcos,dcos6,both')).toEqual([[], [], [...both4, 'fd02::/64']]);
  expect(routes('both,dcos,dcos6')).toEqual([[], ['9.0.0.0/8'], ['fd01:b::/64']]);
  // its one block is the whole subnet: the interface is on it
  expect(routes('dcos,single')).toEqual([[], []]);
});

test.each<[string, Partial<Ask>, Namespace | undefined, string]>([
  ['the default', {}, plain, 'eth0=dcos'],
  ['its namespace’s', {}, { ...plain, annotation: 'dcos6' }, 'eth0=dcos6'],
  ['its own before its namespace’s', { annotation: 'both' }, { ...plain, annotation: 'dcos6' }, 'eth0=both'],
  ['the conflist’s before all', { network: 'dcos', annotation: 'both' }, plain, 'eth0=dcos'],
  ['several', { annotation: 'dcos6,dcos,both' }, plain, 'eth0=dcos6 eth1=dcos eth2=both'],
  ['several of its namespace', {}, { ...plain, annotation: 'dcos,dcos6' }, 'eth0=dcos eth1=dcos6'],
  ['several beside an eth1', { annotation: 'dcos,dcos6', ifname: 'eth1' }, plain, 'eth1=dcos eth2=dcos6'],
  [
    'one that admits its namespace',
    { annotation: 'shop' },
    { ...plain, labels: { team: 'shop' } },
    'eth0=shop',
  ],
])('a pod gets %s', (_, changes, namespace, expected) => {
  expect(outcome(changes, known, namespace)).toBe(expected);
});

test('outside Kubernetes no namespace is needed', () => {
  const choice = choose({ containerID: 'c', ifname: 'eth0' }, known, undefined);
  expect(choice).toMatchObject({ networks: [{ name: 'dcos' }] });
  const fixed = choose({ containerID: 'c', ifname: 'eth0', network: 'shop' }, known, undefined);
  expect(fixed).toMatchObject({ networks: [{ name: 'shop' }] });
});

test('a namespace is read only if the answer depends on it', () => {
  const needed = (changes: Partial<Ask>) => needsNamespace(ask(changes), known);
  expect(needed({})).toBe(true);
  expect(needed({ annotation: 'shop' })).toBe(true);
  expect(needed({ annotation: 'dcos,shop' })).toBe(true);
  expect(needed({ network: 'shop' })).toBe(true);
  expect(needed({ annotation: 'dcos' })).toBe(false);
  expect(needsNamespace({ containerID: 'c', ifname: 'eth0' }, known)).toBe(false);
});

test('without a namespace that it needs a pod gets no network', () => {
  const choice = (changes: Partial<Ask>) => choose(ask(changes), known, undefined);
  const refused = { code: 11, msg: 'namespace default is not known' };
  expect(choice({})).toEqual(refused);
  expect(choice({ annotation: 'shop' })).toEqual(refused);
  expect(choice({ annotation: 'dcos' })).toMatchObject({ networks: [{ name: 'dcos' }] });
});

test('of the default list a pod gets the networks that this node has', () => {
  const of = (list: string, changes: Partial<Ask> = {}) => outcome(changes, withDefault(list));
  expect(of('dcos6,dcos')).toBe('eth0=dcos6 eth1=dcos');
  expect(of('elsewhere,dcos,nowhere,dcos6,off,drained,dcos')).toBe('eth0=dcos eth1=dcos6');
  expect(of('dcos,broken')).toMatch(
    /^11 defaultNetwork of OverlayConfig default: network broken does not work/,
  );
  expect(of('dcos,shop')).toMatch(/^102 defaultNetwork of OverlayConfig default: namespace default may not/);
  // otherwise the pod would not have it for its lifetime
  expect(of('dcos,fresh')).toMatch(/^11 .*network fresh does not work on node node2 yet/);
  expect(of('elsewhere,nowhere')).toBe(
    '103 defaultNetwork of OverlayConfig default: none of these networks is available on this node: network elsewhere is not on ' +
      'node node2: its nodeSelector leaves the node out, or it has no free block: kubectl describe overlaynetwork ' +
      'elsewhere; there is no network nowhere',
  );
});

test('a default list of more networks than a container has interfaces is refused where the node has them all', () => {
  const names = Array.from({ length: 17 }, (_, at) => `n${at}`);
  const allocations = [
    {
      node: 'node2',
      spec: {
        ...node2,
        networks: names.map((name, at) => allocated(name, [`10.${at}.0.0/24`, `10.${at}.0.0/25`])),
      },
    },
  ];
  const networks = names.map((name, at) => network(name, subnet(`10.${at}.0.0/16`)));
  const all: Known = { snapshot: snapshot({ networks, allocations }), idle: new Map(), failed: new Map() };
  const of = (count: number) => {
    const { config } = all.snapshot;
    const defaultNetwork = names.slice(0, count).join();
    return outcome({}, { ...all, snapshot: { ...all.snapshot, config: { ...config, defaultNetwork } } });
  };
  expect(of(16)).toMatch(/ eth15=n15$/);
  expect(of(17)).toBe(
    '104 defaultNetwork of OverlayConfig default: it has more than 16 networks that this node has; a container has at most 16 interfaces',
  );
});

test('a network that is being deleted and admits no more containers is refused, and left out of the default list', () => {
  const closing: Known = {
    ...withDefault('dcos6,dcos'),
    closing: new Map([['dcos', 'spec.deletionPolicy is Drain']]),
  };
  expect(outcome({ annotation: 'dcos' }, closing)).toBe(
    '101 annotation overlaynet.dev/network of pod default/web-0: network dcos is being deleted, and takes no more ' +
      'containers on node node2: spec.deletionPolicy is Drain',
  );
  expect(outcome({}, closing)).toBe('eth0=dcos6');
});

const own = 'annotation overlaynet.dev/network of pod default/web-0: ';
test.each<[string, Partial<Ask>, string]>([
  ['unknown', { annotation: 'dcos,nowhere' }, `100 ${own}there is no network nowhere`],
  ['disabled', { annotation: 'off' }, `101 ${own}network off is not in force: spec.enabled is false`],
  [
    'just made',
    { annotation: 'fresh' },
    `11 ${own}network fresh does not work on node node2 yet: the operator has not accepted it yet`,
  ],
  [
    'draining',
    { annotation: 'drained' },
    `101 ${own}network drained gives no new addresses: its subnets on node node2 are Draining`,
  ],
  [
    'not for its namespace',
    { annotation: 'dcos,shop' },
    `102 ${own}namespace default may not use network shop, whose namespaceSelector is team=shop`,
  ],
  [
    'not for its namespace, by a conflist of its own',
    { network: 'shop' },
    '102 conflist shop: namespace default may not use network shop, whose namespaceSelector is team=shop',
  ],
  [
    'on other nodes',
    { annotation: 'elsewhere' },
    `103 ${own}network elsewhere is not on node node2: its nodeSelector leaves the node out, or it has no free block: kubectl describe overlaynetwork elsewhere`,
  ],
  [
    'without a bridge',
    { annotation: 'bridgeless' },
    `103 ${own}network bridgeless is not on node node2: the node has no bridges (label overlaynet.dev/bridges=false)`,
  ],
  [
    'for Docker',
    { annotation: 'docker' },
    `103 ${own}network docker is not on node node2: it is for Docker containers alone (spec.containerizers)`,
  ],
  [
    'broken from the start',
    { annotation: 'broken' },
    `11 ${own}network broken does not work on node node2 yet: RTNETLINK answers: Operation not permitted`,
  ],
  ['with a space', { annotation: 'dcos, dcos6' }, `104 ${own}"dcos, dcos6" has a space in it`],
  ['an empty part', { annotation: 'dcos,' }, `104 ${own}"dcos," has an empty part`],
  ['one twice', { annotation: 'dcos,both,dcos' }, `104 ${own}"dcos,both,dcos" names dcos twice`],
  [
    'upper case',
    { annotation: 'DCOS' },
    `104 ${own}"DCOS" is no network's name: lower case letters, digits and "-", at most 13 characters`,
  ],
  [
    'a path',
    { annotation: '../../etc' },
    `104 ${own}"../../etc" is no network's name: lower case letters, digits and "-", at most 13 characters`,
  ],
  [
    'something that a terminal would obey',
    { annotation: '\u001b[2J\u202e' },
    `104 ${own}"\\u001b[2J\\u202e" is no network's name: lower case letters, digits and "-", at most 13 characters`,
  ],
  [
    'seventeen',
    { annotation: Array.from({ length: 17 }, (_, i) => `n${i}`).join(',') },
    `104 ${own}"n0,n1,n2,n3,n4,n5,n6,n7,n8,n9,n10,n11,n12,n13,n14,n15,n16" names 17 networks; at most 16 are allowed`,
  ],
])('a pod that asks for networks %s is refused, and told why', (_, changes, expected) => {
  expect(outcome(changes)).toBe(expected);
});

test('a refusal lists the alternatives', () => {
  const details = (annotation: string) => {
    const choice = choose(ask({ annotation }), known, plain);
    return typeof choice === 'object' && 'code' in choice ? choice.details : undefined;
  };
  expect(details('nowhere')).toBe(
    'networks in force: dcos, dcos6, both, drained, shop, elsewhere, bridgeless, broken, docker, single',
  );
  expect(details('elsewhere')).toBe(
    'networks for containers of this node: dcos, dcos6, both, drained, shop, broken, single',
  );
  expect(details('a b')).toContain('a comma list without spaces, such as dcos,dcos6');
  expect(details('shop')).toContain('label the namespace so');
});

test('a namespace’s annotation is judged like a pod’s', () => {
  expect(outcome({}, known, { ...plain, annotation: 'nowhere' })).toBe(
    '100 annotation overlaynet.dev/network of namespace default: there is no network nowhere',
  );
});

test('a network that the checkpoint does not know is to be tried again later', () => {
  expect(outcome({ annotation: 'new' }, { ...known, idle: undefined })).toMatch(
    /^11 .*network new is not known, and the API server cannot be asked now; known are: dcos, /,
  );
});

test('a pod waits for a network that is in force but not applied yet, even in the default list', () => {
  const coming = { ...known, failed: new Map([['new', 'it has just come']]) };
  const why = 'network new does not work on node node2 yet: it has just come';
  expect(outcome({ annotation: 'new' }, coming)).toBe(`11 ${own}${why}`);
  expect(outcome({}, { ...withDefault('dcos,new'), failed: coming.failed })).toBe(
    `11 defaultNetwork of OverlayConfig default: ${why}`,
  );
});

test('a node without any network refuses its pods, and says so', () => {
  const bare = { ...known, snapshot: snapshot({ networks: [], allocations: [] }) };
  expect(outcome({}, bare)).toBe(
    '103 defaultNetwork of OverlayConfig default: none of these networks is available on this node: there is no network dcos',
  );
});

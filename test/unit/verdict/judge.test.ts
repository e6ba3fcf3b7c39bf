import { judge, undecided, type Facts, type PathResult } from '../../../src/verdict/judge.ts';
import { pathsBetween } from '../../../src/verdict/paths.ts';
import type { Signs } from '../../../src/verdict/silence.ts';
import type { FaultKind } from '../../../src/verdict/wire.ts';
import { cluster } from '../../support/cluster.ts';

const [own, peer] = cluster(2, 0).allocations.map(({ spec }) => spec);
const paths = pathsBetween(own!, peer!, { mtu: 1400, outer: 4 });

/** Every packet is answered, but for those that `change` changes. */
const results = (change: (path: PathResult) => Partial<PathResult> = () => ({})): PathResult[] =>
  paths.map(({ code, layer, family, size, bytes }) => {
    const good: PathResult = {
      ...{ code, layer, family, size, bytes },
      ...{ sent: 1, answered: 1, arrived: true, crossed: false, refused: false, tooBig: false, rtts: [1] },
    };
    return { ...good, ...change(good) };
  });
const lost: Partial<PathResult> = { sent: 3, answered: 0, arrived: false, rtts: [] };

const facts = (changes: Partial<Facts> = {}): Facts => ({
  node: 'node0',
  peer: 'node1',
  from: '172.17.0.2',
  to: '172.17.0.3',
  results: results(),
  isFresh: true,
  lastHeard: 'no',
  checksums: { here: 0, there: 0 },
  faults: [],
  theirs: [],
  pathMTU: 1500,
  signs: { kernel: { underlay: undefined, overlay: undefined }, agent: undefined },
  neighbour: 'REACHABLE',
  tunnel: { link: 'vtep1024', port: 64000, mtu: 1400, outer: 4 },
  port: 9181,
  slowMs: 100,
  ...changes,
});
const verdict = (changes: Partial<Facts>) => judge(facts(changes))?.verdict;
const lossOf = (is: (path: PathResult) => boolean, more: Partial<PathResult> = {}) =>
  results((path) => (is(path) ? { ...lost, ...more } : {}));
const overlay = ({ layer }: PathResult) => layer === 'overlay';
const silent = lossOf(() => true);
/** What a silent peer shows. */
const shows = (agent: Signs['agent'], kernel: Partial<Signs['kernel']> = {}) => ({
  results: silent,
  isFresh: false,
  signs: { agent, kernel: { underlay: undefined, overlay: undefined, ...kernel } },
});

test('the paths: both layers, families and sizes, small ones first; full ones are as large as the tunnel’s packets', () => {
  expect(paths.map(({ code, bytes }) => `${code} ${bytes}`)).toEqual([
    ...['u4s 448', 'u6s 448', 'o4s 448', 'o6s 448'],
    ...['u4f 1450', 'u6f 1450', 'o4f 1400', 'o6f 1400'],
  ]);
});

test('a way that works has no verdict', () => {
  expect(judge(facts())).toBeUndefined();
});

test.each<[name: string, changes: Partial<Facts>]>([
  [
    'nothing is known beside the packets',
    { theirs: undefined, pathMTU: undefined, checksums: { here: undefined, there: undefined } },
  ],
  ['the underlay loses what the tunnel carries', { results: lossOf(({ layer }) => layer === 'underlay') }],
  [
    'a kernel without IPv6 cannot send it',
    { results: results(({ family }) => (family === 6 ? { ...lost, sent: 0 } : {})) },
  ],
  [
    'nobody listens there, and the kernel says so',
    { results: results(() => ({ answered: 0, refused: true, rtts: [] })) },
  ],
  ['checksums of others are wrong', { checksums: { here: 50, there: 50 } }],
  ['a first packet is lost', { results: results(() => ({ sent: 3 })) }],
  ['one answer of three is slow', { results: results(() => ({ rtts: [900, 800, 20] })) }],
])('no verdict where %s', (_, changes) => {
  expect(judge(facts(changes))).toBeUndefined();
});

test.each<[verdict: string, name: string, changes: Partial<Facts>]>([
  ['PortBlocked', 'the tunnel loses everything in both directions', { results: lossOf(overlay) }],
  ['PortBlocked', 'one family alone', { results: lossOf((path) => overlay(path) && path.family === 6) }],
  ['PortBlocked', 'nothing but TCP is answered', shows('Answers')],
  ['PeerDown', 'nothing is answered', { ...shows('Silent'), theirs: undefined }],
  ['PeerDown', 'the peer says that its tunnel is down', { results: lossOf(overlay), theirs: ['TunnelDown'] }],
  ['OneWay', 'requests arrive, and answers do not', { results: lossOf(overlay, { arrived: true }) }],
  ['OneWay', 'answers arrive, and requests do not', { results: lossOf(overlay, { crossed: true }) }],
  ['OneWay', 'the silent peer is heard', { ...shows('Silent'), lastHeard: 'lately' }],
  [
    'ChecksumOffload',
    'the peer counts as many as are missing',
    { results: lossOf(overlay), checksums: { here: 0, there: 3 } },
  ],
  [
    'ChecksumOffload',
    'this node counts as many as are missing',
    { results: lossOf(overlay, { arrived: true }), checksums: { here: 3, there: 0 } },
  ],
  [
    'ChecksumOffload',
    'only large ones',
    { results: lossOf((path) => overlay(path) && path.size === 'full'), checksums: { here: 0, there: 3 } },
  ],
  ['ChecksumOffload', 'all answers', { results: silent, checksums: { here: 8, there: undefined } }],
  [
    'OneWay',
    'fewer wrong checksums than lost packets',
    { results: lossOf(overlay, { arrived: true }), checksums: { here: 2, there: 9 } },
  ],
  ['MTUTooLarge', 'small ones pass', { results: lossOf(({ size }) => size === 'full') }],
  ['MTUTooLarge', 'a router has said so, and packets pass in pieces', { pathMTU: 1449 }],
  ['Slow', 'every answer takes long', { results: results(() => ({ rtts: [101, 500] })) }],
])('%s: %s', (wanted, _, changes) => {
  expect(verdict(changes)).toBe(wanted);
});

test.each<[wanted: string, kind: FaultKind]>([
  ['RouteMissing', 'RouteMissing'],
  ['MACMismatch', 'MACMismatch'],
  ['NotAMember', 'NotAMember'],
  ['RouteMissing', 'TunnelDown'],
])('%s where this kernel says %s, whatever is lost', (wanted, kind) => {
  const faults = [{ kind, evidence: 'something is wrong' }];
  expect(verdict({ faults })).toBe(wanted);
  expect(verdict({ faults, results: silent, lastHeard: 'lately' })).toBe(wanted);
});

test.each<[wanted: string, kind: FaultKind]>([
  ['RouteMissing', 'RouteMissing'],
  ['MACMismatch', 'MACMismatch'],
  ['NotAMember', 'NotAMember'],
])('%s where the peer says %s, and the remedy is there', (wanted, kind) => {
  const found = judge(facts({ theirs: [kind] }));
  expect(found?.verdict).toBe(wanted);
  expect(found?.evidence).toMatch(/^node1 says: /);
  expect(found?.remedy).toContain('kubectl overlay why node node1');
});

test.each<[name: string, results: PathResult[]]>([
  ['nothing arrives', lossOf(overlay)],
  ['requests arrive, and answers do not', lossOf(overlay, { arrived: true })],
  ['answers arrive, and requests do not', lossOf(overlay, { crossed: true })],
])(
  'no cause is named where %s in the tunnel and one of the two kernels was not read in time',
  (_, lostOnes) => {
    for (const [unread, node] of [
      [{ theirs: undefined }, 'node1'],
      [{ faults: undefined }, 'node0'],
    ] as const) {
      expect(judge(facts({ results: lostOnes, ...unread }))).toBeUndefined();
      expect(undecided(facts({ results: lostOnes, ...unread }))).toBe(
        `packets of IPv4 through the tunnel are lost, and what the kernel of ${node} shows changed meanwhile or was not read in time, so the cause is unknown: probe again`,
      );
    }
    expect(undecided(facts({ results: lostOnes }))).toBeUndefined();
  },
);

test('what does not hang on the kernels’ entries is named without them', () => {
  const unread = { faults: undefined, theirs: undefined };
  const large = lossOf((path) => overlay(path) && path.size === 'full');
  const corrupt = { here: 0, there: 3 };
  expect(verdict({ ...unread, results: large })).toBe('MTUTooLarge');
  expect(verdict({ ...unread, results: lossOf(overlay), checksums: corrupt })).toBe('ChecksumOffload');
  expect(verdict({ ...unread, ...shows('Answers') })).toBe('PortBlocked');
  expect(undecided(facts({ ...unread, ...shows('Answers') }))).toBeUndefined();
  expect(undecided(facts({ ...unread, results: large }))).toBeUndefined();
  expect(verdict({ ...unread, theirs: ['MACMismatch'], results: lossOf(overlay) })).toBe('MACMismatch');
});

test('large packets are judged by small ones of their own family', () => {
  const six = lossOf((path) => overlay(path) && path.family === 6);
  expect(verdict({ results: six, theirs: undefined })).toBeUndefined();
  expect(verdict({ results: six })).toBe('PortBlocked');
});

test('a way that takes less than its links say is no reason to set the MTU that there is', () => {
  const large = lossOf((path) => overlay(path) && path.size === 'full');
  expect(judge(facts({ results: large }))?.remedy).toBe(
    'make every link between the nodes carry 1450 bytes, or lower spec.mtu of OverlayConfig below 1400',
  );
});

test('evidence and remedy name addresses, ports and sizes', () => {
  expect(judge(facts({ pathMTU: 1430 }))).toEqual({
    verdict: 'MTUTooLarge',
    evidence: 'the way to 172.17.0.3 takes 1430 bytes, and a packet of the tunnel has up to 1450',
    remedy:
      'make every link between the nodes carry 1450 bytes, or: kubectl patch overlayconfig default --type=merge -p \'{"spec":{"mtu":1380}}\'',
  });
  expect(judge(facts({ results: lossOf(overlay, { crossed: true }) }))).toEqual({
    verdict: 'OneWay',
    evidence: 'packets of IPv4 through the tunnel come from node1 to node0, and not from node0 to node1',
    remedy: expect.stringContaining('UDP port 64000 between 172.17.0.2 (node0) and 172.17.0.3 (node1)'),
  });
});

test.each<[what: string, changes: Partial<Facts>, why: string]>([
  [
    'its kernel answers through the tunnel',
    shows('Silent', { overlay: 3 }),
    'the kernel of node1 answers through the tunnel, and its agent does not: it is busy or hangs',
  ],
  [
    'its kernel answers UDP on the underlay',
    shows('Answers', { underlay: 3 }),
    'the kernel of node1 answers UDP, and its agent does not: it is busy, does not know this node yet, or UDP port 9181 is blocked',
  ],
  [
    'its agent takes connections and hangs',
    shows('Hangs'),
    'the agent of node1 takes connections, and does not answer: it is busy or hangs',
  ],
  [
    'its agent is being replaced',
    shows('Refuses'),
    'the agent of node1 does not run: TCP port 9181 refuses connections',
  ],
  [
    'it was heard, and then no more',
    { ...shows('Silent'), lastHeard: 'before' },
    'node1 was heard, and then was silent: probe again',
  ],
  [
    'nobody listens on its port',
    { results: results(() => ({ answered: 0, refused: true, rtts: [] })) },
    'packets come to node1, and nothing answers there on UDP port 9181: its agent does not run, is older than this one, or a firewall refuses the port',
  ],
  [
    'its agent stalls while small packets are on their way',
    { results: lossOf(overlay), isFresh: false },
    'packets to node1 are lost, and none that was sent after them was answered: probe again',
  ],
  [
    'its agent stalls while large packets are on their way',
    { results: lossOf((path) => overlay(path) && path.size === 'full'), isFresh: false },
    'packets to node1 are lost, and none that was sent after them was answered: probe again',
  ],
  [
    'its agent stalls, and others have sent it wrong checksums',
    { results: lossOf(overlay), isFresh: false, checksums: { here: 0, there: 9 } },
    'packets to node1 are lost, and none that was sent after them was answered: probe again',
  ],
])('a peer that is busy or being restarted gives no verdict: %s', (_, changes, why) => {
  expect(judge(facts(changes))).toBeUndefined();
  expect(undecided(facts(changes))).toBe(why);
});

test('a way whose kernels answer in time is not slow, however long the agents take', () => {
  const late = results(() => ({ rtts: [900, 800, 700] }));
  const signs = (overlay: number | undefined): Signs => ({
    agent: undefined,
    kernel: { underlay: undefined, overlay },
  });
  expect(verdict({ results: late, signs: signs(2) })).toBeUndefined();
  expect(verdict({ results: late, signs: signs(600) })).toBe('Slow');
  // a firewall that drops what is sent to closed ports
  expect(verdict({ results: late, signs: signs(undefined) })).toBe('Slow');
});

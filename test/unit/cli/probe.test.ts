import { CommandFailure } from '../../../src/cli/failure.ts';
import { asksOf, pairsOf, probe, settled } from '../../../src/cli/probe.ts';
import { readNodePeers } from '../../../src/rows/peers.ts';
import { probeRequest, type PeerRow } from '../../../src/rows/probe.ts';
import { findingOf } from '../../../src/verdict/finding.ts';

const nodes = Array.from({ length: 100 }, (_, index) => `node${index}`);

test('pairs: a sample without twins, two named nodes, one with all, every pair', () => {
  const pairs = pairsOf(nodes, {});
  expect(new Set(pairs.map((pair) => pair.toSorted().join())).size).toBe(20);
  expect(pairs.every(([a, b]) => a !== b)).toBe(true);
  expect(pairsOf(nodes, { sample: '7' })).toHaveLength(7);
  expect(pairsOf(nodes, { from: 'node1', to: 'node2' })).toEqual([['node1', 'node2']]);
  expect(pairsOf(nodes, { from: 'node1', all: true })).toHaveLength(99);
  expect(pairsOf(nodes, { to: 'node1' })).toHaveLength(20);
  expect(pairsOf(nodes, { all: true })).toHaveLength(4_950);
});

test.each([
  [{ from: 'x' }, '--from "x"'],
  [{ from: 'node1', to: 'node1' }, 'both "node1"'],
  [{ sample: '0' }, '--sample "0" is not a whole number from 1'],
  [{ sample: '5', all: true }, '--all and --sample exclude each other'],
])('%j is refused by name', (options, words) => {
  expect(() => pairsOf(nodes, options)).toThrow(words);
});

test('both nodes of a pair probe, with at most eight peers a request', () => {
  const steps = asksOf(pairsOf(nodes, { from: 'node1', all: true }));
  expect(Math.max(...steps.flat().map(({ peers }) => peers.length))).toBe(8);
  expect(steps.flat().flatMap(({ peers }) => peers)).toHaveLength(2 * 99);
});

const row = (node: string, peer: string, changes: Partial<PeerRow> = {}): PeerRow => ({
  ...{
    node,
    peer,
    is: 'OK',
    evidence: '',
    remedy: '',
    at: '2026-01-01T00:00:00Z',
    since: '2026-01-01T00:00:00Z',
  },
  ...changes,
});
const wrong = (verdict: 'PeerDown' | 'OneWay' | 'Slow', evidence: string) =>
  ({ is: 'Wrong', verdict, evidence, remedy: `mend ${evidence}` }) as const;

test('a peer that seems down and is heard at its own end is OneWay', () => {
  const rows = [row('a', 'b', wrong('PeerDown', 'silent')), row('b', 'a', wrong('OneWay', 'heard'))];
  expect(settled(rows).map(({ verdict, evidence }) => [verdict, evidence])).toEqual([
    ['OneWay', 'heard'],
    ['OneWay', 'heard'],
  ]);
  const down = [row('a', 'b', wrong('PeerDown', 'silent')), row('b', 'a')];
  expect(settled(down)[0]?.verdict).toBe('PeerDown');
});

/** `probe` of two nodes whose agents answer one after the other; undefined: that one does not answer. */
async function probed(...answers: (PeerRow[] | undefined)[]) {
  const asked: string[] = [];
  const access = {
    all: () => Promise.resolve({ items: ['a', 'b'].map((node) => ({ node, vtep: {} })) }),
    probe: (node: string) => {
      asked.push(node);
      const rows = answers[Math.floor((asked.length - 1) / 2)]?.filter((one) => one.node === node);
      return rows === undefined
        ? Promise.reject(new CommandFailure('no answer', 'look'))
        : Promise.resolve({ rows, problems: [] });
    },
  };
  const lines: string[] = [];
  const line = (text: string) => lines.push(text);
  const out = { unicode: false, colours: false, line, warn: line, note: () => undefined };
  const code = await probe(access as never, {}, out as never);
  return { code, asked, text: lines.join('\n') };
}
const good = [row('a', 'b'), row('b', 'a')];

test('all is well after one check of each', async () => {
  expect(await probed(good)).toMatchObject({ code: 0, asked: ['a', 'b'] });
});

test('a verdict is asked for again, and is none where the second check finds nothing: the machine was busy', async () => {
  const bad = [row('a', 'b', wrong('Slow', 'late')), row('b', 'a')];
  const passing = await probed(bad, good);
  expect(passing).toMatchObject({ code: 0, asked: ['a', 'b', 'a', 'b'] });
  expect(passing.text).not.toContain('Slow');
  const standing = await probed(bad, bad);
  expect(standing.code).toBe(1);
  expect(standing.text).toContain('Slow: mend late');
});

test('a verdict whose second check could not be had is open', async () => {
  const { code, text } = await probed([row('a', 'b', wrong('Slow', 'late')), row('b', 'a')], undefined);
  expect(code).toBe(2);
  expect(text).toContain('one check says Slow: late; a second could not be made');
  expect(text).not.toContain('do not work');
});

test('what an agent answers comes through whole, and rubbish does not', () => {
  const { node: _, ...said } = row('a', 'b', { ...wrong('Slow', 'late'), overlayMs: 300 });
  const read = (peers: unknown[]) => readNodePeers(JSON.stringify({ peers, problems: [] }), 'a');
  expect(read([said]).rows).toEqual([{ node: 'a', ...said }]);
  expect(() => read([{ ...said, verdict: 'Bad' }])).toThrow('its peer 1 has no verdict');
  expect(() => read([{ ...said, evidence: 'x'.repeat(5_000) }])).toThrow('its peer 1 has no evidence');
  expect(() => read([{ ...said, overlayMs: -1 }])).toThrow('its peer 1 has no overlayMs');
  expect(() => readNodePeers('{}', 'a')).toThrow('no list of peers');
});

test('a request to probe names 1 to 32 peers', () => {
  expect(probeRequest('{"peers":["a"]}')).toEqual(['a']);
  for (const body of ['', 'null', '{}', '{"peers":[]}', '{"peers":[1]}', JSON.stringify({ peers: nodes })])
    expect(probeRequest(body)).toMatch(/must be \{"peers": \["NODE"/);
});

test('the condition has the gravest verdict and names the others', () => {
  expect(findingOf([row('a', 'b', { is: 'Unprobed' })])).toBeUndefined();
  expect(findingOf([row('a', 'b')])).toMatchObject({ status: 'True', reason: 'Passes' });
  expect(findingOf([row('a', 'b', { is: 'Unknown', evidence: 'mute' })])).toMatchObject({
    status: 'Unknown',
    reason: 'NoAnswer',
  });
  const many = [row('a', 'b', wrong('Slow', 'late')), row('a', 'c', wrong('PeerDown', 'silent'))];
  expect(findingOf(many)).toEqual({
    type: 'DataPathProbed',
    status: 'False',
    reason: 'PeerDown',
    message: 'c: silent; mend silent (also: b Slow)',
  });
});

import { codes, headerBytes, pathsBetween } from '../../../src/verdict/paths.ts';
import { Rotation } from '../../../src/verdict/rotation.ts';
import {
  faultKinds,
  mostText,
  readAnswer,
  readRequest,
  renderAnswer,
  renderRequest,
  type View,
} from '../../../src/verdict/wire.ts';
import { cluster } from '../../support/cluster.ts';

const [own, peer] = cluster(2, 0).allocations.map(({ spec }) => spec);
const paths = pathsBetween(own!, peer!, { mtu: 576, outer: 4 });
const check = '0123456789abcdef';
const largest: View = {
  arrived: [...codes],
  checksums: Number.MAX_SAFE_INTEGER,
  faults: [...faultKinds],
  without6: true,
};

test.each(paths)(
  'a request and its answer on $code have the packet’s size, and say what was meant',
  (path) => {
    const cross = { family: 6 as const, port: 65_535 };
    const request = { check, path: path.code, attempt: 9_999, cross };
    const data = renderRequest(request, path);
    expect(data.length).toBe(path.bytes - headerBytes(path.family));
    expect(data.length).toBeGreaterThanOrEqual(mostText);
    expect(readRequest(data)).toEqual(request);
    const answer = renderAnswer(request, largest, data.length);
    expect(answer.length).toBe(data.length);
    expect(readAnswer(answer)).toEqual({ ...request, view: largest });
    // neither is taken for the other
    expect(readAnswer(data)).toBeUndefined();
    expect(readRequest(answer)).toBeUndefined();
  },
);

test.each([
  '',
  'x',
  'null',
  '[]',
  '{"v":2,"q":"0123456789abcdef","p":"o4s","n":0}',
  '{"v":1,"q":"0123456789abcde","p":"o4s","n":0}',
  '{"v":1,"q":"0123456789abcdef","p":"o5s","n":0}',
  '{"v":1,"q":"0123456789abcdef","p":"o4s","n":-1}',
  '{"v":1,"q":"0123456789abcdef","p":"o4s","n":0,"x":[4,53]}',
  '{"v":1,"q":"0123456789abcdef","p":"o4s","n":0,"x":[5,5353]}',
  `${' '.repeat(mostText)}{"v":1,"q":"0123456789abcdef","p":"o4s","n":0}`,
])('what is no request is not taken for one: %s', (text) => {
  expect(readRequest(new TextEncoder().encode(text))).toBeUndefined();
});

test.each(['"s":4,"c":1', '"s":[],"c":"1"', '"s":[]'])(
  'what is no answer is not taken for one: %s',
  (said) => {
    const text = `{"v":1,"a":"${check}","p":"o4s","n":0,${said}}`;
    expect(readAnswer(new TextEncoder().encode(text))).toBeUndefined();
  },
);

test('each peer has its turn before one has it again, also where peers come and go', () => {
  const rotation = new Rotation('node0');
  const peers = Array.from({ length: 12 }, (_, index) => `node${index + 1}`);
  const turns = [rotation.next(peers, 5), rotation.next(peers, 5), rotation.next(peers, 2)].flat();
  expect(turns.toSorted()).toEqual(peers.toSorted());
  expect(new Rotation('node13').next(peers, 5)).not.toEqual(new Rotation('node0').next(peers, 5));
  expect(rotation.next(['node1', 'node2'], 5).toSorted()).toEqual(['node1', 'node2']);
  expect(rotation.next([], 5)).toEqual([]);
});

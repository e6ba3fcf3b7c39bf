import { diffChains } from '../../../src/dataplane/chains.ts';
import type { Chain } from '../../../src/dataplane/state.ts';
import { parseChains } from '../../../src/linux/iptables.ts';

const input: Chain = { table: 'mangle', hook: 'INPUT', rules: ['-p udp -m udp --dport 64000 -j DROP'] };

const jump = '-m comment --comment overlaynet -j OVERLAYNET-INPUT';

/** `iptables-save` of a mangle table. */
const saved = (...rules: string[]) =>
  parseChains(
    [
      '*mangle',
      ':INPUT ACCEPT [1:2]',
      ':OTHER - [0:0]',
      ':OVERLAYNET-INPUT - [0:0]',
      ...rules,
      'COMMIT',
      '',
    ].join('\n'),
  ).chains;

const right = [`-A INPUT ${jump}`, '-A OVERLAYNET-INPUT -p udp -m udp --dport 64000 -j DROP'];

const restored = (...lines: string[]) => ['*mangle', ...lines, 'COMMIT', ''].join('\n');

test("what stands is left alone, and so is everyone else's", () => {
  expect(diffChains([input], saved('-A INPUT -s 10.0.0.1/32 -j OTHER', ...right)).changes).toBe(0);
  expect(
    diffChains(
      [],
      parseChains('*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n').chains,
    ).changes,
  ).toBe(0);
});

test('on an empty kernel the chain and its jump are made, in one table', () => {
  const expected = [
    ':OVERLAYNET-INPUT - [0:0]',
    '-A OVERLAYNET-INPUT -p udp -m udp --dport 64000 -j DROP',
    `-I INPUT 1 ${jump}`,
  ];
  expect(diffChains([input], new Map())).toEqual({ input: restored(...expected), changes: 2 });
});

test('a chain that differs is written whole', () => {
  const { input: text, changes } = diffChains([input], saved(...right, '-A OVERLAYNET-INPUT -j ACCEPT'));
  expect(changes).toBe(1);
  expect(text).toBe(
    restored(':OVERLAYNET-INPUT - [0:0]', '-A OVERLAYNET-INPUT -p udp -m udp --dport 64000 -j DROP'),
  );
});

test.each([
  ['lost', [], []],
  ['doubled', [`-A INPUT ${jump}`], [`-D INPUT ${jump}`, `-D INPUT ${jump}`]],
  ['behind an ACCEPT', ['-A INPUT -i lo -j ACCEPT'], [`-D INPUT ${jump}`]],
])('a jump that is %s is put at the head', (what, ahead, deleted) => {
  const rules = what === 'lost' ? right.slice(1) : [...ahead, ...right];
  expect(diffChains([input], saved(...rules)).input).toBe(restored(...deleted, `-I INPUT 1 ${jump}`));
});

test('chains no longer wanted go after what jumps to them', () => {
  expect(diffChains([], saved(...right)).input).toBe(
    restored(':OVERLAYNET-INPUT - [0:0]', `-D INPUT ${jump}`, '-X OVERLAYNET-INPUT'),
  );
});

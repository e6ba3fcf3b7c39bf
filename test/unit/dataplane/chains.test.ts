import { diffChains } from '../../../src/dataplane/chains.ts';
import type { Chain } from '../../../src/dataplane/state.ts';
import { parseChains } from '../../../src/linux/iptablessave.ts';

const input: Chain = { table: 'mangle', hook: 'INPUT', rules: ['-p udp -m udp --dport 64000 -j DROP'] };

const jump = '-j OVERLAYNET-INPUT';

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

test('right rules and foreign rules are not changed', () => {
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

test('the most important guard comes first: a failing table stops the tables after it', () => {
  const masquerade: Chain = { table: 'nat', hook: 'POSTROUTING', rules: ['-j MASQUERADE'] };
  const raw: Chain = { table: 'raw', hook: 'PREROUTING', rules: ['-i c-+ -j DROP'] };
  const { input: text } = diffChains([masquerade, raw, input], new Map());
  expect(text.match(/^\*.*$/gm)).toEqual(['*mangle', '*raw', '*nat']);
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

describe('in nat', () => {
  const chain: Chain = { table: 'nat', hook: 'POSTROUTING', rules: ['-j MASQUERADE'] };
  const toOurs = '-j OVERLAYNET-POSTROUTING';
  const behind = (...rules: string[]) => {
    const all = [...rules, toOurs].map((rule) => `-A POSTROUTING ${rule}`);
    const own = [':OVERLAYNET-POSTROUTING - [0:0]', '-A OVERLAYNET-POSTROUTING -j MASQUERADE'];
    return parseChains(['*nat', ':POSTROUTING ACCEPT [0:0]', ...all, ...own, 'COMMIT'].join('\n')).chains;
  };

  test.each([
    '-s 9.0.0.0/8 -j MASQUERADE',
    '-j SNAT --to-source 10.0.0.1',
    '-j ACCEPT',
    '-j IP-MASQ-AGENT',
    '-g SITE',
  ])('a jump behind "%s" is put at the head', (rule) => {
    expect(diffChains([chain], behind(rule)).input.split('\n')).toEqual([
      '*nat',
      `-D POSTROUTING ${toOurs}`,
      `-I POSTROUTING 1 ${toOurs}`,
      'COMMIT',
      '',
    ]);
  });

  test('rules that masquerade marked packets, or only their own, may stay ahead', () => {
    const ahead = [
      '-j KUBE-POSTROUTING',
      '-j CNI-HOSTPORT-MASQ',
      '-j cali-POSTROUTING',
      '-j LOG',
      '-s 10.0.0.1/32',
    ];
    expect(diffChains([chain], behind(...ahead)).changes).toBe(0);
  });
});

test('unneeded chains are removed after the jumps to them', () => {
  expect(diffChains([], saved(...right)).input).toBe(
    restored(':OVERLAYNET-INPUT - [0:0]', `-D INPUT ${jump}`, '-X OVERLAYNET-INPUT'),
  );
});

describe('in a FORWARD chain of others', () => {
  const head: Chain = { table: 'filter', hook: 'FORWARD', rules: ['-i m-+ -j ACCEPT'] };
  const tail: Chain = { ...head, last: true };
  const own = [':OVERLAYNET-FORWARD - [0:0]', ':OVERLAYNET-FORWARD-LAST - [0:0]'];
  const toHead = '-j OVERLAYNET-FORWARD';
  const toTail = '-j OVERLAYNET-FORWARD-LAST';
  const contents = ['-A OVERLAYNET-FORWARD -i m-+ -j ACCEPT', '-A OVERLAYNET-FORWARD-LAST -i m-+ -j ACCEPT'];
  const forward = (...rules: string[]) =>
    parseChains(
      ['*filter', ':FORWARD DROP [0:0]', ...own, ...rules.map((rule) => `-A FORWARD ${rule}`)]
        .concat(contents, 'COMMIT')
        .join('\n'),
    ).chains;
  const moved = (...rules: string[]) => diffChains([head, tail], forward(...rules)).input.split('\n');

  test('one chain comes before all others, one after them', () => {
    expect(moved('-j KUBE-FORWARD', '-j ufw-before-forward')).toEqual([
      '*filter',
      `-I FORWARD 1 ${toHead}`,
      `-I FORWARD 4 ${toTail}`,
      'COMMIT',
      '',
    ]);
    expect(diffChains([head, tail], forward(toHead, '-j KUBE-FORWARD', toTail)).changes).toBe(0);
  });

  test("what Docker puts ahead at its start leaves the first where it is, unless it is Docker's isolation", () => {
    expect(diffChains([head, tail], forward('-j DOCKER-USER', toHead, toTail)).changes).toBe(0);
    for (const rule of [
      '-j DOCKER-ISOLATION-STAGE-1',
      '-j DOCKER-FORWARD',
      '-o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ]) {
      expect(moved('-j DOCKER-USER', rule, toHead, toTail)).toContain(`-I FORWARD 1 ${toHead}`);
    }
  });

  test('the last comes before a rule that refuses all the rest', () => {
    const refusal = '-j REJECT --reject-with icmp-host-prohibited';
    expect(moved(toHead, '-s 10.0.0.1/32 -j DROP', refusal, toTail)).toEqual([
      '*filter',
      `-D FORWARD ${toTail}`,
      `-I FORWARD 3 ${toTail}`,
      'COMMIT',
      '',
    ]);
    expect(diffChains([head, tail], forward(toHead, '-j KUBE-FORWARD', toTail, refusal)).changes).toBe(0);
  });

  test('without other programs they are removed as they were added', () => {
    expect(diffChains([], forward(toHead, toTail)).input.split('\n')).toEqual(
      expect.arrayContaining([`-D FORWARD ${toHead}`, `-D FORWARD ${toTail}`, '-X OVERLAYNET-FORWARD-LAST']),
    );
  });
});

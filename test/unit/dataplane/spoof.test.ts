import { diffNFTable, type Elements, type ObservedNFTable } from '../../../src/dataplane/nftable.ts';
import { desiredGuard, guard as table, portKey } from '../../../src/dataplane/spoof.ts';
import { parseTable } from '../../../src/linux/nft.ts';
import { attachment } from '../../support/fixture.ts';

const port = 'c-0123456789ab';
const mac = '0a:58:09:00:01:02';
const diffGuard = (wanted: Elements, observed: ObservedNFTable) => diffNFTable(table, wanted, observed);
const guard = (incomplete = false) => desiredGuard([attachment()], incomplete);

/** A table that stands as it was written, with these elements. */
function standing(elements: { 4?: string[]; 6?: string[] } = {}): ObservedNFTable {
  const { input } = diffGuard(desiredGuard([], false), undefined);
  const chains = new Map<string, { base: string; marks: string[] }>();
  for (const line of input.split('\n')) {
    const chain = /^add chain bridge overlaynet (\S+)(?: \{ type (\S+) hook (\S+) priority (\S+);)?/.exec(
      line,
    );
    if (chain !== null) {
      const [, name = '', ...base] = chain;
      chains.set(name, { base: base.join(' ').trim(), marks: [] });
    }
    const rule = /^add rule bridge overlaynet (\S+) .* comment "(\S+)"$/.exec(line);
    if (rule !== null) chains.get(rule[1]!)!.marks.push(rule[2]!);
  }
  return {
    chains,
    sets: new Map([
      ['ports4', new Set(elements[4])],
      ['ports6', new Set(elements[6])],
    ]),
  };
}
const lines = (observed: ObservedNFTable, wanted = guard()) => diffGuard(wanted, observed).input.split('\n');

test('each address of a container is an element with its port and MAC', () => {
  expect(guard().of).toEqual({
    ports4: new Set([portKey(port, mac, '9.0.1.2')]),
    ports6: new Set([portKey(port, mac, 'fe80::858:9ff:fe00:102')]),
  });
});

test('a container with an unknown MAC address can send nothing', () => {
  const [one] = attachment().interfaces;
  const early = attachment({ interfaces: [{ ...one!, mac: '' }] });
  expect(desiredGuard([early], false).of).toEqual({ ports4: new Set(), ports6: new Set() });
});

test('a right table is not written', () => {
  const observed = standing({
    4: [portKey(port, mac, '9.0.1.2')],
    6: [portKey(port, mac, 'fe80::858:9ff:fe00:102')],
  });
  expect(diffGuard(guard(), observed)).toEqual({ input: '', changes: 0 });
});

test('a table is not made again for a changed element, and its sets are not made again for a changed rule', () => {
  expect(lines(standing({ 6: [portKey(port, mac, 'fe80::858:9ff:fe00:102')] }))).toEqual([
    `add element bridge overlaynet ports4 { "${port}" . ${mac} . 9.0.1.2 }`,
    '',
  ]);
  const observed = standing()!;
  observed.chains.get('container')!.marks.pop();
  const written = lines(observed).join('\n');
  expect(written).toContain('flush chain bridge overlaynet container\n');
  expect(written).not.toMatch(/set bridge|table|chain bridge overlaynet prerouting/);
});

test('leftover elements are removed, unless some records could not be read', () => {
  const observed = standing({ 4: [portKey(port, mac, '9.0.1.9')] });
  const gone = `delete element bridge overlaynet ports4 { "${port}" . ${mac} . 9.0.1.9 }`;
  expect(lines(observed)).toContain(gone);
  expect(lines(observed, guard(true))).not.toContain(gone);
});

test('no rule lets a frame back to where everything passes', () => {
  const { input } = diffGuard(guard(), undefined);
  for (const chain of ['container', 'container6', 'discovery']) {
    const rules = input.split('\n').filter((line) => line.startsWith(`add rule bridge overlaynet ${chain} `));
    expect(rules.at(-1)).toContain(' counter drop comment ');
  }
  expect(input).not.toContain('return');
  expect(input).not.toContain('jump');
});

test('bits are read as the numbers and the digits that nft prints', () => {
  const rule = { family: 'bridge', table: 'overlaynet', chain: 'prerouting', handle: 6 };
  const json = {
    nftables: [
      { metainfo: { version: '1.0.6' } },
      { table: { family: 'bridge', name: 'overlaynet', handle: 2 } },
      { set: { name: 'ports4', elem: [{ concat: [port, mac, '9.0.1.2'] }] } },
      {
        set: {
          name: 'ports6',
          elem: [
            { concat: [port, 11373224394754, '0xfd01000b000000000000000000000002'] },
            { concat: [port, 2, 1] },
          ],
        },
      },
      { chain: { name: 'prerouting', type: 'filter', hook: 'prerouting', prio: -310, policy: 'accept' } },
      { chain: { name: 'container' } },
      { rule: { ...rule, comment: 'abc', expr: [] } },
      { rule: { ...rule, expr: [] } },
    ],
  };
  expect(parseTable(table, JSON.stringify(json))).toEqual({
    chains: new Map([
      ['prerouting', { base: 'filter prerouting -310', marks: ['abc', ''] }],
      ['container', { base: '', marks: [] }],
    ]),
    sets: new Map([
      ['ports4', new Set([`${port} ${mac} 9.0.1.2`])],
      ['ports6', new Set([`${port} 0a:58:09:00:00:02 fd01:b::2`, `${port} 00:00:00:00:00:02 ::1`])],
    ]),
  });
});

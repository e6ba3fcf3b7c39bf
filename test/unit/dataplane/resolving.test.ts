import { diffNFTable } from '../../../src/dataplane/nftable.ts';
import { desiredLeased, resolving } from '../../../src/dataplane/resolving.ts';
import { parseTable } from '../../../src/linux/nft.ts';
import { attachment } from '../../support/fixture.ts';

const [one] = attachment().interfaces;
const record = attachment({ interfaces: [{ ...one!, addresses: ['9.0.1.2', 'fd01:b::2', 'fe80::1'] }] });

/** The table as it was written, and then with these sets. */
function standing(sets: Record<string, unknown[]>) {
  const { input } = diffNFTable(resolving, desiredLeased([], false), undefined);
  const objects = input.split('\n').flatMap((line): object[] => {
    const [, what = '', name = '', rest = ''] =
      /^add (set|chain|rule) inet overlaynet (\S+) ?(.*)$/.exec(line) ?? [];
    if (what === 'set') return [{ set: { name, elem: sets[name] } }];
    if (what === 'chain')
      return [{ chain: rest === '' ? { name } : { name, type: 'filter', hook: 'forward', prio: 10 } }];
    return what === 'rule' ? [{ rule: { chain: name, comment: /comment "(.*)"/.exec(rest)?.[1] } }] : [];
  });
  return parseTable(resolving, JSON.stringify({ nftables: objects }));
}
const written = (sets: Record<string, unknown[]>, incomplete = false) =>
  diffNFTable(resolving, desiredLeased([record], incomplete), standing(sets))
    .input.split('\n')
    .filter(Boolean);

test('every address of a container is known, link-local ones apart: nothing is routed to those', () => {
  expect(desiredLeased([record], false).of).toEqual({
    leased4: new Set(['9.0.1.2']),
    leased6: new Set(['fd01:b::2']),
  });
});

test('elements that rules added are not changed', () => {
  const sets = {
    leased4: ['9.0.1.2'],
    leased6: ['fd01:b::2'],
    seen4: [{ elem: { val: '9.0.1.77', timeout: 3600, expires: 10 } }],
    rates: [{ elem: { val: { concat: ['vtep1024', 'm-dcos'] }, limit: { rate: 5 } } }],
  };
  expect(written(sets)).toEqual([]);
});

test('an address without a record is removed, unless some records could not be read', () => {
  const sets = { leased4: ['9.0.1.2', '9.0.1.9'], leased6: ['fd01:b::2'] };
  expect(written(sets)).toContain('delete element inet overlaynet leased4 { 9.0.1.9 }');
  expect(written(sets, true)).toEqual([]);
});

test('a missing address is added, and nothing else is changed', () => {
  expect(written({ leased4: ['9.0.1.2'] })).toEqual(['add element inet overlaynet leased6 { fd01:b::2 }']);
});

test('an established connection leaves at the first rule', () => {
  expect(resolving.chains['forward']?.rules[0]).toBe('ct status assured accept');
});

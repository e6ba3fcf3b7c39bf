import { continueAfter, parseQuery, QueryError } from '../../../src/rows/query.ts';

test('without parameters it is the first page of everything', () => {
  expect(parseQuery('networks', '')).toEqual({ limit: 500 });
});

test('all parameters are taken, decoded as in a URL', () => {
  expect(parseQuery('containers', 'network=dcos&node=a.b&namespace=shop&search=web+%2F0&limit=5000')).toEqual(
    {
      network: 'dcos',
      node: 'a.b',
      namespace: 'shop',
      search: 'web /0',
      limit: 5000,
    },
  );
});

test.each([
  ['limit=0', 'limit', '0', 'a whole number from 1 to 5000'],
  ['limit=5001', 'limit', '5001', 'a whole number from 1 to 5000'],
  ['limit=-1', 'limit', '-1', 'a whole number from 1 to 5000'],
  ['limit=1e3', 'limit', '1e3', 'a whole number from 1 to 5000'],
  ['limit=', 'limit', '', 'a whole number from 1 to 5000'],
  ['network=DCOS', 'network', 'DCOS', 'the name of a network'],
  ['network=', 'network', '', 'the name of a network'],
  ['network=fourteen-chars', 'network', 'fourteen-chars', 'at most 13'],
  ['node=../x', 'node', '../x', 'the name of a Node'],
  ['namespace=shop', 'namespace', 'shop', 'only containers have a namespace, not networks'],
  ['search=', 'search', '', '1 to 256 characters'],
  ['search=%1b[31m', 'search', '\u001b[31m', 'none of them a control character'],
  [`search=${'x'.repeat(257)}`, 'search', `${'x'.repeat(100)}…`, '1 to 256 characters'],
  ['nodes=a', 'nodes', 'a', 'there are network, node, namespace, search, limit, continue'],
  ['node=a&node=b', 'node', 'b', 'given once'],
  ['continue=%%%', 'continue', '%%%', 'what the page before gave'],
  ['continue=AAAA', 'continue', 'AAAA', 'what the page before gave'],
  ['continue=WyJhIl0', 'continue', 'WyJhIl0', 'what the page before gave'],
])('?%s is refused: parameter, value and rule are named', (text, parameter, value, rule) => {
  const refusal = (() => {
    try {
      parseQuery('networks', text);
      return undefined;
    } catch (error) {
      return error;
    }
  })();
  expect(refusal).toBeInstanceOf(QueryError);
  expect(refusal).toMatchObject({ parameter, value, rule: expect.stringContaining(rule) });
  expect((refusal as QueryError).message).toContain(`${parameter}="${value}"`);
});

test('a page goes on with the same question alone', () => {
  const token = continueAfter('blocks', parseQuery('blocks', 'search=ä'), 'key\n1');
  expect(parseQuery('blocks', `search=ä&limit=3&continue=${token}`)).toEqual({
    search: 'ä',
    limit: 3,
    after: 'key\n1',
  });
  for (const [kind, text] of [
    ['spaces', `search=ä&continue=${token}`],
    ['blocks', `continue=${token}`],
    ['blocks', `search=ä&node=a&continue=${token}`],
  ] as const)
    expect(() => parseQuery(kind, text)).toThrow('must come with the path and the other parameters');
});

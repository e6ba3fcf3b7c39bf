import { reachOf } from '../../../src/rows/isolation.ts';
import type { NetworkRow } from '../../../src/rows/row.ts';
import { networkRow } from '../cli/facts.ts';

const isolated = (name: string, changes: Partial<NetworkRow> = {}) =>
  networkRow({ name, isolation: 'Isolated', ...changes });

const networks = [
  networkRow({ name: 'open' }),
  isolated('web', { allow: ['db', 'deaf', 'gone'], hosts: 'Deny', apiServer: 'Allow' }),
  isolated('db', { allow: ['web', 'open'] }),
  isolated('deaf', { hosts: 'Deny', apiServer: 'Deny' }),
];

test.each([
  ['open', 'Open: it reaches every network that is not isolated'],
  ['db', 'Isolated: it reaches db, open, web'],
  [
    'web',
    'Isolated: it reaches web, db; deaf must allow web too; no process of another node but the API server',
  ],
  ['deaf', 'Isolated: it reaches deaf; no process of another node'],
])('what %s reaches is said as the kernels judge it', (name, words) => {
  expect(reachOf(name, networks)).toBe(words);
});

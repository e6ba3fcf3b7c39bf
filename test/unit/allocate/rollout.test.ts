import { beforeEach, expect, test } from '@jest/globals';
import { mostUpdates } from '../../../src/allocate/allocations.ts';
import { Cluster, dcos } from '../../support/plancluster.ts';

/** A network rolls out to more nodes than one plan updates. */
const nodes = 2 * mostUpdates + 50;

let cluster: Cluster;
/** The nodes that each round of writes updates. */
let rounds: string[][];

beforeEach(() => {
  cluster = new Cluster();
  cluster.network('dcos', dcos);
  for (let at = 0; at < nodes; at++) cluster.join(`node${at}`, `172.17.${at >> 8}.${at & 255}`);
  cluster.settle();
  cluster.network('more', [{ cidr: '10.0.0.0/8', prefix: 24 }]);
  rounds = [];
});

function rollOut(): void {
  cluster.settle(() => {
    const updated = cluster.last.writes.flatMap((write) =>
      write.kind === 'update-allocation' ? [write.node] : [],
    );
    if (updated.length > 0) rounds.push(updated);
  });
}

test('a plan updates a limited number of nodes, and the next plans do the rest', () => {
  rollOut();
  expect(rounds.map(({ length }) => length)).toEqual([mostUpdates, mostUpdates, 50]);
  for (let at = 0; at < nodes; at++) expect(cluster.shown(`node${at}`)).toHaveLength(2);
});

test('a node that joins meanwhile is served first', () => {
  cluster.join('late', '172.17.200.1');
  rollOut();
  expect(rounds.findIndex((updated) => updated.includes('late'))).toBeLessThan(rounds.length - 1);
  expect(cluster.shown('late')).toHaveLength(2);
});

test('nodes whose update is refused delay no other node', () => {
  for (let at = 0; at < mostUpdates; at++) cluster.refusals.set(`update-allocation node${at}`, 'denied');
  rollOut();
  for (let at = mostUpdates; at < nodes; at++) expect(cluster.shown(`node${at}`)).toHaveLength(2);
  expect(cluster.shown('node0')).toHaveLength(1);
});

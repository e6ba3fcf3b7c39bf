import { expect, test } from '@jest/globals';
import { Memory, plan } from '../../../src/allocate/plan.ts';
import { Cluster } from '../../support/plancluster.ts';

/** Text that was made once is the same object when it is asked for again. */
const textOf = (cluster: Cluster, memory: Memory, cidr: string) => {
  const space = { network: 'dcos', networkUID: '', cidr, prefix: 24, pages: [] };
  const blocks = [{ space, index: 7, page: '' }];
  const vtep = {
    space: { network: '', networkUID: '', cidr: 'vtep', prefix: 0, pages: [] },
    index: 1,
    page: '',
  };
  const { config, networks, nodes } = cluster;
  const own = { addresses: [], further: undefined };
  const spec = memory.renderer.render(nodes.get('node1')!, own, [vtep, ...blocks], config!.spec, networks);
  return spec.networks![0]!.subnets[0]!;
};

test('the texts of a space that is gone are forgotten by the plans that do not need it', () => {
  const cluster = new Cluster();
  cluster.network('dcos', [{ cidr: '9.0.0.0/16', prefix: 24 }]);
  cluster.join('node1', '172.17.0.2');
  cluster.settle();
  const memory = new Memory();
  const first = textOf(cluster, memory, '10.9.0.0/16');
  expect(textOf(cluster, memory, '10.9.0.0/16')).toBe(first);
  // the first plan still counts what was rendered above as used
  plan(cluster.view(), memory);
  plan(cluster.view(), memory);
  const again = textOf(cluster, memory, '10.9.0.0/16');
  expect(again).toEqual(first);
  expect(again).not.toBe(first);
});

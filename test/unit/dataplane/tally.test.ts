import { emptyPlan } from '../../../src/dataplane/change.ts';
import { desired } from '../../../src/dataplane/desired.ts';
import { entriesOf, tally } from '../../../src/dataplane/tally.ts';
import { cluster } from '../../support/cluster.ts';

test('changes are counted by the kind of object, over all steps', () => {
  const plan = emptyPlan();
  plan.sets.push({ kind: 'createSet', name: 'overlaynet-a-4', family: 4 });
  plan.sets.push({ kind: 'addEntry', name: 'overlaynet-a-4', entry: '9.0.0.0/8' });
  plan.linkLayer.push({ kind: 'linkUp', name: 'vtep1024' });
  plan.routing.push({ kind: 'deleteNexthop', id: 1 });
  plan.staleSets.push({ kind: 'destroySet', name: 'overlaynet-a-4' });
  expect(tally(plan)).toEqual({ set: 3, link: 1, nexthop: 1 });
  expect(tally(emptyPlan())).toEqual({});
});

test('each peer adds its entries', () => {
  const [three, four] = [3, 4].map((nodes) => entriesOf(desired(cluster(nodes, 0))!));
  expect(three!.fdb).toBe(2);
  expect(four!.fdb).toBe(3);
  expect(four!.neighbour).toBeGreaterThan(three!.neighbour);
  expect(four!.route).toBeGreaterThan(three!.route);
  expect(four!.iptables).toBe(three!.iptables);
  expect(three!.link).toBeGreaterThan(1);
});

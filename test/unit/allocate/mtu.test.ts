import type { AllocationLedger } from '../../../src/api/types.ts';
import { Cluster, configSpec, dcos } from '../../support/plancluster.ts';

const onlyIPv4 = { ...configSpec, vtepSubnets: ['44.128.0.0/20'] };

/** A network and a node with an uplink of 1,500 bytes: 1,450 are in force. */
function started(): Cluster {
  const cluster = new Cluster();
  cluster.network('dcos', dcos);
  cluster.join('node1', '172.17.0.2');
  return cluster.settle();
}

const accepted = (cluster: Cluster) =>
  cluster.configStatus().conditions!.find(({ type }) => type === 'Accepted');
const inForce = (cluster: Cluster) => cluster.configStatus().effective?.mtu;
const refusalOf = (cluster: Cluster, node: string) => cluster.allocationStatus(node)?.conditions?.[0];

/** The node's agent finds another uplink. */
function uplink(cluster: Cluster, node: string, uplinkMTU: number): void {
  const agent = cluster.agents.get(node)!;
  cluster.agents.set(node, { ...agent, spec: { ...agent.spec, uplinkMTU } });
  cluster.settle();
}

function specMTU(cluster: Cluster, mtu: number | undefined): void {
  const spec = mtu === undefined ? configSpec : { ...configSpec, mtu };
  cluster.config = { ...cluster.config!, spec };
  cluster.settle();
}

describe('a tunnel below 1280 bytes', () => {
  test('is refused while there are IPv6 VTEP subnets, without any IPv6 network, and the old one stays', () => {
    const cluster = started();
    const before = cluster.spec('node1');
    specMTU(cluster, 1200);
    expect(accepted(cluster)).toMatchObject({
      status: 'False',
      reason: 'MTUTooSmall',
      message:
        'spec.mtu: 1200 is not in force: the IPv6 VTEP subnet fd01:a::/64 needs at least 1280 (RFC 8200)',
    });
    expect(inForce(cluster)).toBe(1450);
    expect(cluster.spec('node1')).toEqual(before);
  });

  test('is refused before anything is pinned, so that no node gets what it cannot have', () => {
    const cluster = new Cluster();
    cluster.config!.spec = { ...configSpec, mtu: 1279 };
    cluster.join('node1', '172.17.0.2');
    cluster.settle();
    expect(accepted(cluster)).toMatchObject({ status: 'False', reason: 'MTUTooSmall' });
    expect(cluster.spec('node1').vtep).toBeUndefined();
    specMTU(cluster, 1280);
    expect(inForce(cluster)).toBe(1280);
  });

  test('is not caused by one agent’s uplink', () => {
    const cluster = new Cluster();
    cluster.join('node1', '172.17.0.2', {}, 576);
    cluster.join('node2', '172.17.0.3');
    cluster.settle();
    expect(refusalOf(cluster, 'node1')).toMatchObject({
      status: 'False',
      reason: 'MTUTooSmall',
      message:
        'spec.uplinkMTU: 576 leaves 526 bytes in the tunnel, and the IPv6 VTEP subnet fd01:a::/64 needs 1280 (RFC 8200)',
    });
    expect(cluster.spec('node1').vtep).toBeUndefined();
    expect(inForce(cluster)).toBe(1450);
  });

  test('is not caused by a spec.mtu that is not in force itself', () => {
    const cluster = started();
    specMTU(cluster, 1200);
    cluster.join('node2', '172.17.0.3', {}, 1250);
    cluster.settle();
    expect(refusalOf(cluster, 'node2')?.reason).toBe('MTUTooSmall');
    expect(inForce(cluster)).toBe(1450);
  });

  test('is accepted in an IPv4 cluster', () => {
    const cluster = new Cluster();
    cluster.config!.spec = { ...onlyIPv4, mtu: 1200 };
    cluster.network('dcos', dcos);
    cluster.join('node1', '172.17.0.2');
    cluster.settle();
    expect(accepted(cluster)?.status).toBe('True');
    expect(inForce(cluster)).toBe(1200);
  });
});

describe('a joining node does not reduce the MTU of all others', () => {
  test('it is refused with the remedy, and joins once spec.mtu says so', () => {
    const cluster = started();
    cluster.join('narrow', '172.17.0.9', {}, 1400);
    cluster.settle();
    expect(refusalOf(cluster, 'narrow')).toMatchObject({
      status: 'False',
      reason: 'LowersMTU',
      message:
        'spec.uplinkMTU: 1400 leaves 1350 bytes in the tunnel, and 1450 are in force on every node; give the uplink a larger ' +
        'MTU, or lower that of the whole cluster: kubectl patch overlayconfig default --type=merge -p \'{"spec":{"mtu":1350}}\'',
    });
    expect(cluster.spec('narrow').vtep).toBeUndefined();
    expect(inForce(cluster)).toBe(1450);
    specMTU(cluster, 1350);
    expect(refusalOf(cluster, 'narrow')).toBeUndefined();
    expect(cluster.spec('narrow').vtep).toBeDefined();
    expect(inForce(cluster)).toBe(1350);
    // what was in force stays when spec.mtu goes
    specMTU(cluster, undefined);
    expect(inForce(cluster)).toBe(1350);
  });

  test('a member whose uplink shrinks keeps its blocks, and gets the reason', () => {
    const cluster = started();
    cluster.join('node2', '172.17.0.3');
    cluster.settle();
    const before = cluster.spec('node2');
    uplink(cluster, 'node2', 1400);
    expect(refusalOf(cluster, 'node2')?.reason).toBe('LowersMTU');
    expect(cluster.spec('node2')).toEqual(before);
    expect(inForce(cluster)).toBe(1450);
    uplink(cluster, 'node2', 1500);
    expect(refusalOf(cluster, 'node2')?.reason ?? 'Accepted').toBe('Accepted');
  });

  test('the smallest of the first nodes, which join at once, decides', () => {
    const cluster = new Cluster();
    cluster.network('dcos', dcos);
    cluster.join('node1', '172.17.0.2');
    cluster.join('narrow', '172.17.0.3', {}, 1400);
    cluster.settle();
    expect(inForce(cluster)).toBe(1350);
    expect(cluster.spec('narrow').vtep).toBeDefined();
    expect(ready(cluster)).toContain('the MTU of 1350 follows the uplink of narrow, 1400');
  });

  test('without networks, the MTU still follows the smallest node', () => {
    const cluster = new Cluster();
    cluster.join('node1', '172.17.0.2');
    cluster.settle();
    cluster.join('narrow', '172.17.0.3', {}, 1400);
    cluster.settle();
    expect(inForce(cluster)).toBe(1350);
    cluster.network('dcos', dcos);
    cluster.settle();
    cluster.join('narrower', '172.17.0.4', {}, 1380);
    cluster.settle();
    expect(refusalOf(cluster, 'narrower')?.reason).toBe('LowersMTU');
  });

  test('when the smallest node leaves, the MTU stays, so that the node can come back', () => {
    const cluster = new Cluster();
    cluster.network('dcos', dcos);
    cluster.join('node1', '172.17.0.2');
    cluster.join('narrow', '172.17.0.3', {}, 1400);
    cluster.settle();
    cluster.leave('narrow');
    cluster.settle();
    expect(inForce(cluster)).toBe(1350);
    expect(ready(cluster)).toContain('the smallest uplink, 1500 of node1, has room for spec.mtu: 1450');
    cluster.join('narrow', '172.17.0.3', {}, 1400);
    cluster.settle();
    expect(refusalOf(cluster, 'narrow')).toBeUndefined();
  });

  test('a spec.mtu that is too large for an uplink counts, and is reported', () => {
    const cluster = started();
    specMTU(cluster, 1460);
    expect(inForce(cluster)).toBe(1460);
    expect(ready(cluster)).toContain(
      'the MTU of 1460 is spec.mtu; the uplink of node1, 1500, splits what is longer than 1450',
    );
    specMTU(cluster, 1400);
    expect(ready(cluster)).toMatch(/the MTU of 1400 is spec.mtu$/);
  });

  const ready = (cluster: Cluster) =>
    cluster.configStatus().conditions!.find(({ type }) => type === 'Ready')!.message;
});

describe('settings in force are read, not remembered', () => {
  test.each([
    ['by an operator that starts anew', () => undefined],
    [
      'where the ledger is of before the MTU stood in it',
      (cluster: Cluster) => {
        const { index } = cluster.ledger.get('spaces')!.spec;
        const { mtu, ...rest } = index!;
        expect(mtu).toBe(1450);
        cluster.ledger.set('spaces', { ...cluster.ledger.get('spaces')!, spec: { index: rest } });
      },
    ],
    ['where the ledger’s index is lost', (cluster: Cluster) => void cluster.ledger.delete('spaces')],
  ])('%s', (_what, lose: (cluster: Cluster) => void) => {
    const old = started();
    old.config = { ...old.config!, status: old.configStatus() };
    const cluster = new Cluster();
    Object.assign(cluster, {
      config: old.config,
      networks: old.networks,
      nodes: old.nodes,
      agents: old.agents,
      allocations: old.allocations,
      ledger: new Map<string, AllocationLedger>(old.ledger),
      stated: old.stated,
    });
    lose(cluster);
    cluster.join('narrow', '172.17.0.9', {}, 1400);
    cluster.settle();
    expect(refusalOf(cluster, 'narrow')?.reason).toBe('LowersMTU');
    expect(inForce(cluster)).toBe(1450);
    expect(cluster.ledger.get('spaces')!.spec.index!.mtu).toBe(1450);
  });
});

import { confirmAddresses } from '../../../src/allocate/addresses.ts';
import { Cluster, configSpec, dcos } from '../../support/plancluster.ts';

/** A cluster whose API server listens at an address that no node has; every node has one of each family. */
function started(nodeSubnets?: string[]): Cluster {
  const cluster = new Cluster();
  cluster.config!.spec = { ...configSpec, ...(nodeSubnets && { nodeSubnets }) };
  cluster.apiServers = ['172.17.9.1'];
  cluster.network('dcos', dcos);
  for (const [name, last] of [
    ['node1', 2],
    ['node2', 3],
  ] as const) {
    cluster.join(name, `172.17.0.${last}`);
    claim(cluster, name, `172.17.0.${last}`, `fd00:17::${last}`);
  }
  return cluster.settle();
}

/** The node's kubelet states these addresses, and its agent registers them, as an attacker on the node could do. */
function claim(cluster: Cluster, node: string, ...addresses: string[]): void {
  const agent = cluster.agents.get(node)!;
  cluster.stated.set(node, addresses);
  cluster.agents.set(node, { ...agent, spec: { ...agent.spec, addresses } });
}

function confirm(cluster: Cluster, node: string, value: string): void {
  const object = cluster.allocations.get(node)!;
  const annotations = { [confirmAddresses]: value };
  cluster.allocations.set(node, { ...object, metadata: { ...object.metadata, annotations } });
}

const refusalOf = (cluster: Cluster, node: string) => cluster.allocationStatus(node)?.conditions?.[0];
const own = ['172.17.0.3', 'fd00:17::3'];

describe('without nodeSubnets, a Node keeps its registered addresses', () => {
  test.each([
    ['an address of the other family', ['172.17.0.3', '2001:db8::53'], '2001:db8::53'],
    ['another tunnel address', ['8.8.8.8', 'fd00:17::3'], '8.8.8.8'],
  ])('%s waits for a person, and the old ones stay', (_what, addresses, stray) => {
    const cluster = started();
    const before = cluster.spec('node2');
    claim(cluster, 'node2', ...addresses);
    cluster.settle();
    expect(refusalOf(cluster, 'node2')).toMatchObject({
      status: 'False',
      reason: 'AddressChanged',
      message:
        `spec.addresses: ${stray} is new, Node node2 registered with 172.17.0.3, fd00:17::3, and OverlayConfig has no ` +
        'spec.nodeSubnets, in which a node may move; if that is right: kubectl annotate --overwrite agentallocation node2 ' +
        `overlaynet.dev/confirm-addresses=${addresses.join()}`,
    });
    expect(cluster.spec('node2')).toEqual(before);
    // confirming another address does not help
    confirm(cluster, 'node2', '172.17.0.77');
    cluster.settle();
    expect(cluster.spec('node2').addresses).toEqual(own);
    confirm(cluster, 'node2', addresses.join());
    cluster.settle();
    expect(cluster.spec('node2').addresses).toEqual(addresses);
  });

  test('an address of a family that it did not have at first is refused, too', () => {
    const cluster = started();
    cluster.join('node3', '172.17.0.4');
    cluster.settle();
    claim(cluster, 'node3', '172.17.0.4', 'fd00:17::4');
    cluster.settle();
    expect(refusalOf(cluster, 'node3')?.reason).toBe('AddressChanged');
    expect(cluster.spec('node3').addresses).toEqual(['172.17.0.4']);
  });

  test('an address that it gives up is removed at once, and counts as new when it comes back', () => {
    const cluster = started();
    claim(cluster, 'node2', '172.17.0.3');
    cluster.settle();
    expect(cluster.spec('node2').addresses).toEqual(['172.17.0.3']);
    claim(cluster, 'node2', ...own);
    cluster.settle();
    expect(refusalOf(cluster, 'node2')?.reason).toBe('AddressChanged');
  });

  test('a Node that is created again registers again', () => {
    const cluster = started();
    cluster.nodes.set('node2', { ...cluster.nodes.get('node2')!, uid: 'another' });
    claim(cluster, 'node2', '172.17.0.33');
    cluster.settle();
    expect(cluster.spec('node2')).toMatchObject({ nodeUID: 'another', addresses: ['172.17.0.33'] });
  });
});

describe('with nodeSubnets', () => {
  const nodeSubnets = ['172.17.0.0/16', 'fd00:17::/64'];

  test('a changed address inside counts at once', () => {
    const cluster = started(nodeSubnets);
    claim(cluster, 'node2', '172.17.2.2', 'fd00:17::22');
    cluster.settle();
    expect(cluster.spec('node2').addresses).toEqual(['172.17.2.2', 'fd00:17::22']);
  });

  test('one outside is refused, and confirming it does not help', () => {
    const cluster = started(nodeSubnets);
    claim(cluster, 'node2', '172.17.0.3', '2001:db8::53');
    confirm(cluster, 'node2', '172.17.0.3,2001:db8::53');
    cluster.settle();
    expect(refusalOf(cluster, 'node2')).toMatchObject({
      status: 'False',
      reason: 'OutsideNodeSubnets',
      message:
        'spec.addresses: 2001:db8::53 lies in none of spec.nodeSubnets of OverlayConfig, 172.17.0.0/16, fd00:17::/64',
    });
    expect(cluster.spec('node2').addresses).toEqual(own);
  });

  test('a node that joins with an address outside is no member', () => {
    const cluster = started(nodeSubnets);
    cluster.join('node3', '10.0.0.4');
    cluster.settle();
    expect(refusalOf(cluster, 'node3')?.reason).toBe('OutsideNodeSubnets');
    expect(cluster.spec('node3')).toMatchObject({ addresses: [] });
    expect(cluster.spec('node3').vtep).toBeUndefined();
  });

  test('that leave out members’ addresses, these nodes get the reason and stay members', () => {
    const cluster = started();
    cluster.config = { ...cluster.config!, spec: { ...configSpec, nodeSubnets: ['10.0.0.0/8'] } };
    cluster.settle();
    expect(refusalOf(cluster, 'node1')?.reason).toBe('OutsideNodeSubnets');
    expect(cluster.spec('node1').addresses).toEqual(['172.17.0.2', 'fd00:17::2']);
  });

  test('a deleted OverlayConfig comes back with them, and they count meanwhile', () => {
    const cluster = started(nodeSubnets);
    cluster.config = undefined;
    claim(cluster, 'node2', '172.17.0.3', '2001:db8::53');
    cluster.settle();
    expect(cluster.config!.spec.nodeSubnets).toEqual(nodeSubnets);
    expect(cluster.spec('node2').addresses).toEqual(own);
  });
});

describe('where an API server listens', () => {
  test.each([
    ['without nodeSubnets', undefined],
    ['inside nodeSubnets', ['172.17.0.0/16', 'fd00:17::/64']],
  ])('no Node may have its address later, %s', (_what, nodeSubnets) => {
    const cluster = started(nodeSubnets);
    claim(cluster, 'node2', '172.17.9.1', 'fd00:17::3');
    cluster.settle();
    expect(refusalOf(cluster, 'node2')).toMatchObject({
      status: 'False',
      reason: 'APIServerAddress',
      message: expect.stringContaining(
        'spec.addresses: API servers listen at 172.17.9.1, which Node node2 did not register with; if that is right: kubectl annotate',
      ),
    });
    expect(cluster.spec('node2').addresses).toEqual(own);
  });

  test('a Node that registers with the address may be a member: it runs the API server', () => {
    const cluster = started();
    cluster.join('control', '172.17.9.1');
    cluster.settle();
    expect(cluster.spec('control').addresses).toEqual(['172.17.9.1']);
    expect(cluster.spec('control').vtep).toBeDefined();
  });
});

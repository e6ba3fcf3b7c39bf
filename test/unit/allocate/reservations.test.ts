import { Cluster, configSpec, dcos } from '../../support/plancluster.ts';
import { cluster, findings, of, oldMAC, parts, reserve } from '../../support/reserving.ts';

describe('what is reserved', () => {
  test('is in the ledger before the node comes, and is the node’s when it comes, with the MAC', () => {
    const one = cluster();
    reserve(one, 'old', of(6, 'node1'));
    one.settle();
    expect(one.blocks()).toEqual(['vtep-0/6 node1 Reserved', 'net-dcos-1/6 node1 Reserved']);
    expect(parts(one, 'old')).toEqual(['Reserved', 'Reserved']);
    one.join('node2', '172.17.0.3');
    one.settle();
    one.join('node1', '172.17.0.2');
    one.settle();
    expect(one.spec('node2').vtep?.ip).toBe('44.128.0.1/20');
    expect(one.shown('node2')).toEqual(['9.0.0.0/24', 'fd01:b::/80']);
    expect(one.spec('node1').vtep).toEqual({ ip: '44.128.0.7/20', ip6: 'fd01:a::7/64', mac: oldMAC });
    // of a network of which nothing is reserved it gets a block as any
    expect(one.shown('node1')).toEqual(['9.0.6.0/24', 'fd01:b:0:0:1::/80']);
    expect(findings(one, 'old')).toEqual([
      'Accepted True Accepted: every part can be reserved',
      'Reserved True Reserved: the ledger has all of it for node node1',
      'Bound True Bound: node node1 has all of it',
    ]);
    // what the node has is its own
    one.reservations.clear();
    one.now += 3_600_000;
    one.settle();
    expect(one.spec('node1').vtep?.mac).toBe(oldMAC);
    expect(one.shown('node1')).toContain('9.0.6.0/24');
  });

  test('is given to nobody else, however many come, and the others get the rest', () => {
    const one = new Cluster();
    one.network('small', [{ cidr: '10.1.0.0/22', prefix: 24 }]);
    reserve(one, 'old', { nodeName: 'late', networks: [{ name: 'small', subnets: ['10.1.0.0/24'] }] });
    for (const at of [1, 2, 3, 4]) one.join(`node${at}`, `172.17.0.${at}`);
    one.settle();
    expect([1, 2, 3, 4].map((at) => one.shown(`node${at}`).join())).toEqual([
      '10.1.1.0/24',
      '10.1.2.0/24',
      '10.1.3.0/24',
      '',
    ]);
    expect(one.condition('small', 'Ready').reason).toBe('Exhausted');
    one.join('late', '172.17.0.9');
    one.settle();
    expect(one.shown('late')).toEqual(['10.1.0.0/24']);
  });

  test('waits for the network, and is kept in the very plan that brings it', () => {
    const one = new Cluster();
    reserve(one, 'old', of(0, 'node9'));
    one.join('node1', '172.17.0.2');
    one.settle();
    expect(parts(one, 'old')).toEqual(['Reserved', 'Waiting NoNetwork']);
    one.network('dcos', dcos);
    one.settle();
    expect(one.blocks()).toEqual([
      'vtep-0/0 node9 Reserved',
      'vtep-0/1 node1 Held',
      'net-dcos-1/0 node9 Reserved',
      'net-dcos-1/1 node1 Held',
    ]);
  });

  test('is in the ledger of a network that is disabled, too', () => {
    const one = new Cluster();
    one.network('dcos', dcos, { enabled: false });
    reserve(one, 'old', of(3, 'node1'));
    one.join('node1', '172.17.0.2');
    one.settle();
    expect(one.blocks()).toEqual(['vtep-0/3 node1 Held', 'net-dcos-1/3 node1 Reserved']);
    one.network('dcos', dcos);
    one.settle();
    expect(one.shown('node1')).toEqual(['9.0.3.0/24']);
  });

  test('is bound to the node that registers with the address, where no node is named', () => {
    const one = cluster();
    const { nodeName, ...spec } = of(4, 'x');
    reserve(one, 'old', { ...spec, address: '172.17.0.7' });
    one.join('node1', '172.17.0.2');
    one.settle();
    expect(findings(one, 'old').at(-1)).toBe(
      'Bound False NoNode: no node is named, and none has registered with spec.address that no other reservation names',
    );
    expect(one.blocks()).toContain('vtep-0/4  Reserved');
    one.join('node2', '172.17.0.7');
    one.settle();
    expect(one.spec('node2').vtep?.mac).toBe(oldMAC);
    expect(one.shown('node2')).toContain('9.0.4.0/24');
  });

  test('is not bound by its address to a node that another reservation names, whichever is older', () => {
    const one = cluster();
    const { nodeName, ...spec } = of(4, 'x');
    reserve(one, 'address', { ...spec, address: '172.17.0.2' });
    reserve(one, 'name', of(6, 'node1', { vtep: { ip: '44.128.0.7/20', mac: '70:b3:d5:00:0a:01' } }));
    one.settle();
    one.join('node1', '172.17.0.2');
    one.settle();
    expect(one.shown('node1')).toContain('9.0.6.0/24');
    expect(findings(one, 'name')[2]).toBe('Bound True Bound: node node1 has all of it');
    expect(parts(one, 'address')).toEqual(['Reserved', 'Reserved']);
    expect(one.blocks()).toContain('vtep-0/4  Reserved');
  });

  test('is free once it expired or was deleted, and not before', () => {
    const one = cluster();
    const expiresAt = new Date(one.now + 60_000).toISOString();
    reserve(one, 'old', of(0, 'node9', { expiresAt }));
    reserve(one, 'other', { nodeName: 'node8', networks: [{ name: 'dcos', subnets: ['9.0.1.0/24'] }] });
    one.settle();
    expect(one.last.wakeAt).toBe(Date.parse(expiresAt));
    expect(one.status('dcos').capacity![0]).toMatchObject({ held: 0, reserved: 2, free: 65534 });
    one.now += 60_000;
    one.settle();
    expect(one.blocks()).toEqual(['net-dcos-1/1 node8 Reserved']);
    expect(findings(one, 'old')[0]).toMatch('Accepted False Expired');
    one.reservations.delete('other');
    one.settle();
    expect(one.blocks()).toEqual([]);
    one.join('node1', '172.17.0.2');
    one.settle();
    expect(one.shown('node1')).toContain('9.0.0.0/24');
  });

  test('is not taken from a list that is older than the page, nor given, nor is anything new', () => {
    const one = cluster();
    reserve(one, 'old', of(0, 'node9'));
    one.settle();
    one.join('node1', '172.17.0.2');
    one.join('node9', '172.17.0.9');
    const blocks = one.blocks();
    one.reservations.clear();
    one.reservationsAt = 1;
    one.settle();
    expect(one.blocks()).toEqual(blocks);
    expect(one.last.reads.reservations).toBeGreaterThan(1);
  });

  test('is refused only by a page that is known as of what brought the node', () => {
    const one = cluster();
    one.join('node1', '172.17.0.2');
    one.settle();
    // an old page says that node1 has it
    reserve(one, 'old', { nodeName: 'node2', networks: [{ name: 'dcos', subnets: ['9.0.0.0/24'] }] });
    one.join('node2', '172.17.0.3');
    const fresh = one.view.bind(one);
    one.view = (withdrawn) => {
      const view = fresh(withdrawn);
      return { ...view, ledger: { ...view.ledger, readAt: 1 } };
    };
    one.settle();
    expect(one.blocks()).not.toContain('net-dcos-1/1 node2 Held');
    expect(one.last.reads.ledger.get('net-dcos-1')).toBe(
      Number(one.allocations.get('node2')!.metadata.resourceVersion),
    );
    one.view = fresh;
    one.settle();
    expect(one.blocks()).toContain('net-dcos-1/1 node2 Held');
    expect(findings(one, 'old')[0]).toContain('9.0.0.0/24 of network dcos is held by node node1');
  });

  test('comes back to its Node that was made anew, also after the rest', () => {
    const one = cluster();
    reserve(one, 'old', of(6, 'node1'));
    one.join('node1', '172.17.0.2');
    one.join('node2', '172.17.0.3');
    one.settle();
    one.leave('node1');
    one.settle();
    expect(one.blocks()).toContain('vtep-0/6 node1 Cooling');
    one.now += 600_001;
    one.settle();
    expect(one.blocks()).toContain('vtep-0/6 node1 Reserved');
    one.join('node1', '172.17.0.2');
    one.settle();
    expect(one.spec('node1').vtep?.mac).toBe(oldMAC);
  });

  test('is handed on by hand: the reservation names another node', () => {
    const one = cluster();
    reserve(one, 'old', of(6, 'node1'));
    one.settle();
    const known = one.reservations.get('old')!;
    one.reservations.set('old', { ...known, spec: { ...known.spec, nodeName: 'node2' } });
    one.join('node1', '172.17.0.2');
    one.join('node2', '172.17.0.3');
    one.settle();
    expect(one.shown('node1')).toContain('9.0.0.0/24');
    expect(one.shown('node2')).toContain('9.0.6.0/24');
  });
});

describe('while an exclusive reservation is there', () => {
  test('nodes for which nothing is reserved get nothing new, and keep what they have', () => {
    const one = cluster();
    one.join('node1', '172.17.0.2');
    one.settle();
    reserve(one, 'import', { exclusive: true });
    reserve(one, 'old', of(6, 'node2'));
    one.join('node2', '172.17.0.3');
    one.join('node3', '172.17.0.4');
    one.network('more', [{ cidr: '10.1.0.0/16', prefix: 24 }]);
    one.settle();
    expect(one.shown('node1')).toEqual(['9.0.0.0/24', 'fd01:b::/80']);
    expect(one.shown('node2')).toEqual(['9.0.6.0/24']);
    expect(one.spec('node3').vtep).toBeUndefined();
    one.reservations.delete('import');
    one.settle();
    expect(one.shown('node1')).toEqual(['9.0.0.0/24', 'fd01:b::/80', '10.1.0.0/24']);
    expect(one.spec('node3').vtep?.ip).toBe('44.128.0.2/20');
  });
});

describe('the MAC of a reservation', () => {
  test('stays when the page is lost, and when the whole ledger is', () => {
    const one = cluster();
    reserve(one, 'old', of(6, 'node1'));
    one.join('node1', '172.17.0.2');
    one.settle();
    one.reservations.clear();
    const { vtep } = one.spec('node1');
    one.agents.set('node1', {
      ...one.agents.get('node1')!,
      spec: { ...one.agents.get('node1')!.spec, vtep: vtep! },
    });
    one.ledger.delete('vtep-0');
    one.settle();
    expect(one.spec('node1').vtep).toEqual(vtep);
    one.ledger.clear();
    one.allocations.clear();
    one.settle();
    one.answer('node1');
    one.settle();
    expect(one.spec('node1').vtep).toEqual(vtep);
  });

  test('pins the VTEP subnets, also before a network has blocks', () => {
    const one = new Cluster();
    reserve(one, 'old', { nodeName: 'node1', vtep: { ip: '44.128.0.7/20', mac: oldMAC } });
    one.settle();
    one.config = { ...one.config!, spec: { ...configSpec, vtepSubnets: ['44.130.0.0/20'] } };
    one.settle();
    expect(one.last.refusedConfig?.reason).toBe('Pinned');
    one.reservations.clear();
    one.settle();
    expect(one.last.refusedConfig).toBeUndefined();
  });
});

test('nodes that something is reserved for, and that are not there yet, have not departed', () => {
  const one = cluster();
  one.join('node1', '172.17.0.2');
  one.settle();
  for (let at = 0; at < 5; at++) {
    const vtep = { ip: `44.128.0.${at + 11}/20`, mac: `70:b3:d5:00:0a:0${at}` };
    reserve(one, `old-${at}`, { nodeName: `later${at}`, vtep });
  }
  one.settle();
  expect(parts(one, 'old-4')).toEqual(['Reserved']);
  expect(one.last.departures).toMatchObject({ disbelieved: false, departures: undefined });
});
